package hubtest

import (
	"context"
	"database/sql"
	"errors"

	"github.com/kitshub/kitshub/internal/hub"
)

// Bare is a provider that makes every database empty, so that each step is run on it for itself, as where no template can be used.
type Bare struct{ hub.Provider }

// Create implements hub.Provider.
func (b Bare) Create(ctx context.Context, at hub.Backend, c hub.Credentials, _ hub.Template) error {
	return b.Provider.Create(ctx, at, c, hub.Template{})
}

// Bare is the same process without templates.
func (r *Rig) Bare() *Rig {
	return r.With(func(d *hub.Deps) { d.Providers = map[string]hub.Provider{"sqlite": Bare{r.Files}} })
}

// Effects counts how often each step's script had its effect in a tenant's database.
func (r *Rig) Effects(tenantID string) map[string]int {
	r.T.Helper()
	return query(r, tenantID, `SELECT step, count(*) FROM effects GROUP BY step`)
}

// Ledger names the steps in the ledger of a tenant's database.
func (r *Rig) Ledger(tenantID string) map[string]int {
	r.T.Helper()
	return query(r, tenantID, `SELECT step, count(*) FROM kitshub_ledger GROUP BY step`)
}

func query(r *Rig, tenantID, text string) map[string]int {
	r.T.Helper()
	db := r.As(tenantID, hub.RoleOwner)
	out := map[string]int{}
	err := each(r.T.Context(), db, text, func(rows *sql.Rows) error {
		var step string
		var n int
		err := rows.Scan(&step, &n)
		out[step] = n
		return err
	})
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		r.T.Fatal(err)
	}
	return out
}

func each(ctx context.Context, db *sql.DB, text string, scan func(*sql.Rows) error) (err error) {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
