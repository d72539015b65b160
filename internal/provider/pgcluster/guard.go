package pgcluster

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// neighboursTried bounds the look at the neighbours: on a cluster of thousands each sign-up would ask about all of them. The newest are asked
// about; that nobody else comes in is asked of the database's own rights, which say it all.
const neighboursTried = 100

// guardSQL lists the doors that stand open: who else may connect here, and which of the neighbours let this role in, by whatever group or
// default it comes by the right. The server decides by the same rights at each connection.
const guardSQL = `
	SELECT 'in: ' || coalesce(nullif(a.grantee, 0)::regrole::text, 'PUBLIC')
	FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
	WHERE d.datname = current_database() AND a.privilege_type = 'CONNECT'
		AND a.grantee NOT IN (d.datdba, coalesce(to_regrole($2)::oid, d.datdba), coalesce(to_regrole($3)::oid, d.datdba))
	UNION ALL
	SELECT 'out: ' || datname FROM (
		SELECT oid, datname FROM pg_database WHERE starts_with(datname, $1) AND datallowconn AND datname <> current_database()
		ORDER BY oid DESC LIMIT $4) n
	WHERE has_database_privilege(current_user, oid, 'CONNECT')
	LIMIT 10`

// Guarded implements hub.Guard: db was opened with hub.RoleTenant, so the tenant's own role asks.
func (p *Provider) Guarded(ctx context.Context, db *sql.DB, b hub.Backend) (err error) {
	name, _, err := p.database(b)
	if err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, guardSQL, p.names.prefix, quote(name+ownerSuffix), quote(name+runtimeSuffix), neighboursTried)
	if err != nil {
		return fault(ctx, "asking who is let in", err)
	}
	defer func() {
		if cerr := rows.Close(); err == nil && cerr != nil {
			err = fault(ctx, "asking who is let in", cerr)
		}
	}()
	var open []string
	for rows.Next() {
		var door string
		if err := rows.Scan(&door); err != nil {
			return err
		}
		way, who, _ := strings.Cut(door, ": ")
		if way == "in" {
			open = append(open, fmt.Sprintf("%s may connect to it (REVOKE CONNECT ON DATABASE %s FROM %s)", who, quote(name), who))
		} else {
			open = append(open, fmt.Sprintf("its login may connect to %s (REVOKE CONNECT ON DATABASE %s FROM PUBLIC)", who, quote(who)))
		}
	}
	if err := rows.Err(); err != nil {
		return fault(ctx, "asking who is let in", err)
	}
	if len(open) > 0 {
		return &hub.StepError{Class: hub.ClassAuth, Code: "NOT_ISOLATED", Err: fmt.Errorf(
			"the database at %s is not apart from its neighbours: %s", b.Place, strings.Join(open, "; "))}
	}
	return nil
}

// Guarded is Provider.Guarded.
func (c *Clusters) Guarded(ctx context.Context, db *sql.DB, b hub.Backend) error {
	return c.on(b, func(p *Provider) error { return p.Guarded(ctx, db, b) })
}
