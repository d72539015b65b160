package app

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/provider/pgcluster"
	"github.com/kitshub/kitshub/internal/vault"
)

// openClusters prepares the clusters on which tenants' databases are made; nil where none is set. It connects to none: one that does not
// answer stops the work on its own tenants, not the hub.
//
// Errors: *config.Error for addresses that cannot be used.
func openClusters(cfg *config.Config, v *vault.Vault, log *slog.Logger) (*pgcluster.Clusters, error) {
	var all []*pgcluster.Provider
	var problems []config.Problem
	for _, c := range cfg.TenantClusters {
		p, err := pgcluster.New(pgcluster.Config{
			Name: c.Name, AdminURL: c.URL.Reveal(), Installation: installation(v, c.Name), MaxConns: cfg.TenantMaxConns, Log: log,
		})
		if err != nil { // its words never show the address
			problems = append(problems, config.Problem{Variable: c.Variable, Message: err.Error(), Fix: "Correct the address and its parameters."})
			continue
		}
		all = append(all, p)
	}
	if len(problems) > 0 {
		return nil, &config.Error{Problems: problems}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return pgcluster.NewClusters(all...)
}

// installation tells this hub's databases on a cluster from those of hubs with other data. All hubs of one database have the root of its
// keyring in common, and it stays when keys are rotated. The cluster's name is part of it: should two names lead to one server by mistake,
// neither takes the databases of the other for orphans.
func installation(v *vault.Vault, cluster string) string {
	sum := v.MAC("tenant-clusters/1", []byte(cluster))
	return "h" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// closeDoor keeps tenants' logins out of the hub's own database, which may be on a server of theirs: Postgres lets every role into a new
// database, where it could take the hub's advisory locks and hear and forge its notifications. Only the owner of the database can do so; where
// that is another role, kitshub doctor says the SQL.
func (c *Core) closeDoor(ctx context.Context) error {
	pool := c.Store.Pool()
	if pool == nil {
		return nil
	}
	_, err := pool.Exec(ctx, `DO $do$ BEGIN
		IF has_database_privilege('public', current_database(), 'CONNECT')
			AND (SELECT pg_get_userbyid(datdba) = current_user FROM pg_database WHERE datname = current_database())
		THEN
			PERFORM pg_advisory_xact_lock(hashtext('kitshub door')); -- two at once would disturb one another
			EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
		END IF;
	END $do$`)
	if err != nil {
		return fmt.Errorf("keeping tenants out of the hub's own database: %w", err)
	}
	return nil
}

// examineWithin bounds the look at each cluster after a start.
const examineWithin = 30 * time.Second

// examineClusters tells the log what keeps the clusters from serving, and the SQL that mends it. Nobody waits for it.
func (c *Core) examineClusters(ctx context.Context) {
	for _, p := range c.Clusters.All() {
		look, cancel := context.WithTimeout(ctx, examineWithin)
		found, err := p.Doctor(look)
		cancel()
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
			c.Log.WarnContext(ctx, "a tenants' cluster cannot be examined; its tenants wait until it answers", "cluster", p.Cluster(), "error", err)
		}
		for _, f := range found {
			if f.Problem {
				c.Log.ErrorContext(ctx, "a tenants' cluster cannot serve: "+f.What, "cluster", p.Cluster(), "mend", f.SQL)
			}
		}
	}
}
