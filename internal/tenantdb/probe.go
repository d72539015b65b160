package tenantdb

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// shownSteps is how many steps a ledger fault names.
const shownSteps = 3

// Probe does what a tenant's program would do first, over a connection with the tenant's own rights: it writes, reads back, rolls back and
// sees it gone. It also holds the identity against id, in every field, and the ledger against the steps that must be in it, and on SQLite
// looks for references to nothing. Whatever is not as it must be is a fault of class data; steps that are no ledger steps are passed over.
func (*DB) Probe(ctx context.Context, db *sql.DB, d hub.Dialect, id hub.Identity, applied []hub.Step) error {
	if err := probeIdentity(ctx, db, id); err != nil {
		return err
	}
	if err := probeLedger(ctx, db, applied); err != nil {
		return err
	}
	broken, err := brokenReferences(ctx, db, d)
	if err != nil {
		return fault("checking the foreign keys", err)
	}
	if broken != "" {
		return dataFault("a row refers to one that is not there (%s); the seeds or migrations leave broken references: mend them, then retry", broken)
	}
	return probeWrite(ctx, db)
}

func dataFault(format string, args ...any) error {
	return &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf(format, args...)}
}

func probeIdentity(ctx context.Context, db *sql.DB, id hub.Identity) error {
	there, found, err := readIdentity(ctx, db)
	switch {
	case err != nil:
		return fault("reading the identity", err)
	case !found:
		return dataFault("this database has no identity; retry from the identity step")
	case there.TenantID != id.TenantID || there.Generation != id.Generation:
		return wrongOwner(there, id)
	case there.CatalogVersion != id.CatalogVersion:
		return dataFault("this database says catalog version %s, not %s; retry from the identity step", there.CatalogVersion, id.CatalogVersion)
	case there.MAC != id.MAC:
		return dataFault("the seal of this database's identity is not ours; find out who wrote it before retrying")
	}
	return nil
}

func probeLedger(ctx context.Context, db *sql.DB, applied []hub.Step) error {
	sums, err := ledger(ctx, db)
	if err != nil {
		return fault("reading the ledger", err)
	}
	var wrong []string
	for _, s := range applied {
		if !s.InLedger() {
			continue
		}
		switch sum, ok := sums[s.Name]; {
		case !ok:
			wrong = append(wrong, s.Name+" is missing")
		case sum != s.Source.Checksum:
			wrong = append(wrong, fmt.Sprintf("%s has checksum %.12s, not %.12s", s.Name, sum, s.Source.Checksum))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	more := ""
	if len(wrong) > shownSteps {
		more = fmt.Sprintf(" and %d more", len(wrong)-shownSteps)
		wrong = wrong[:shownSteps]
	}
	return dataFault("the ledger of this database is not what the plan needs: %s%s; retry to apply what is missing", strings.Join(wrong, ", "), more)
}

// probeWrite uses a random token, so that two probes of one database do not meet and an old row cannot pass for a new one.
func probeWrite(ctx context.Context, db *sql.DB) error {
	token := rand.Text()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fault("starting the probe's transaction", err)
	}
	defer func() { _ = rollback(tx) }()
	if _, err := tx.ExecContext(ctx, `INSERT INTO kitshub_probe (token, written_at) VALUES ($1, $2)`, token, stamp(time.Now())); err != nil {
		return fault("writing as the tenant", err)
	}
	n, err := countToken(ctx, tx, token)
	if err != nil {
		return fault("reading back as the tenant", err)
	}
	if n != 1 {
		return dataFault("a row written as the tenant was read back %d times instead of once", n)
	}
	if err := rollback(tx); err != nil {
		return fault("rolling back as the tenant", err)
	}
	if n, err = countToken(ctx, db, token); err != nil {
		return fault("looking again as the tenant", err)
	}
	if n != 0 {
		return dataFault("a row is still there after its transaction was rolled back; this database does not keep transactions: give the tenant another one")
	}
	return nil
}

func countToken(ctx context.Context, q querier, token string) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM kitshub_probe WHERE token = $1`, token).Scan(&n)
	return n, err
}
