package external

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
)

// Manual takes databases that an operator brings by a connection string. It may be used by any number of goroutines.
type Manual struct {
	base
}

var _ hub.Bringer = (*Manual)(nil)

// NameManual is how backends of Manual are marked.
const NameManual = "manual"

const fieldConnection = "connection_string"

// NewManual makes the provider. Every connection goes through the dialer; log may be nil.
func NewManual(d *egress.Dialer, log *slog.Logger) *Manual {
	return &Manual{base{name: NameManual, dialer: d, log: logOr(log)}}
}

func logOr(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// Fields implements hub.Bringer.
func (*Manual) Fields() []string { return []string{fieldConnection} }

// Bring implements hub.Bringer.
func (p *Manual) Bring(ctx context.Context, tenantID string, generation int64, given map[string]string) (hub.Backend, hub.Credentials, *hub.Trial, error) {
	a, wrong := parse(given[fieldConnection], fieldConnection)
	if len(wrong) > 0 {
		return hub.Backend{}, hub.Credentials{}, nil, refusal(wrong)
	}
	t, err := examine(ctx, p.dialer, a, whose{tenantID, generation})
	if err != nil {
		return hub.Backend{}, hub.Credentials{}, t, told(err, fieldConnection)
	}
	b := hub.Backend{TenantID: tenantID, Generation: generation, Provider: p.name, Place: a.place()}
	return b, hub.Credentials{URL: a.URL(), Env: a.env(tenantID)}, t, nil
}

// refusal is one error of all wrong fields; the first one gives its code.
func refusal(wrong []*hub.Error) error {
	return hub.MergeFieldErrors(wrong, nil)
}

// told is an error of a trial as who brings the database is told it.
func told(err error, field string) error {
	var f *fault
	if errors.As(err, &f) {
		return f.refusal(field)
	}
	return err
}

// base is what both providers do with a database whose address is sealed in its credentials.
type base struct {
	name   string
	dialer *egress.Dialer
	log    *slog.Logger
}

// Name is the provider's own.
func (p *base) Name() string { return p.name }

// Dialect is Postgres.
func (*base) Dialect() hub.Dialect { return hub.Postgres }

// Plan refuses: such a database is brought, not made.
func (p *base) Plan(context.Context, string, int64) (hub.Backend, hub.Credentials, error) {
	return hub.Backend{}, hub.Credentials{}, &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("provider %s makes no databases; an operator brings them", p.name)}
}

// address reads the sealed address back and refuses one that is not the backend's.
func (p *base) address(b hub.Backend, c hub.Credentials) (address, error) {
	a, wrong := parse(c.URL, fieldConnection)
	if b.Provider != p.name || len(wrong) > 0 || a.place() != b.Place {
		return address{}, &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf(
			"the stored credentials of tenant %s are not those of %s; nothing was touched: give them again", b.TenantID, b.Place)}
	}
	return a, nil
}

// Create looks again whether the database may be used, as when it was brought, and furnishes it with what the catalog relies on. There is no
// template: the pipeline runs its steps in it.
func (p *base) Create(ctx context.Context, b hub.Backend, c hub.Credentials, _ hub.Template) error {
	a, err := p.address(b, c)
	if err != nil {
		return err
	}
	who := whose{b.TenantID, b.Generation}
	if _, err := examine(ctx, p.dialer, a, who); err != nil {
		return failed(ctx, err)
	}
	return p.with(ctx, a, "furnishing the database", func(db *sql.DB) error { return p.furnish(ctx, db, who) })
}

// Open connects as the role that was given: it is the pipeline's and the customer's program's alike.
func (p *base) Open(ctx context.Context, b hub.Backend, c hub.Credentials, r hub.Role) (*sql.DB, error) {
	a, err := p.address(b, c)
	if err != nil {
		return nil, err
	}
	n := 1
	switch r {
	case hub.RoleOwner:
		n = conns - 1
	case hub.RoleTenant:
	default:
		return nil, &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("there is no role %.20q", r)}
	}
	db, err := a.open(p.dialer, n)
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(failed(ctx, a.explain(ctx, "connecting", err)), db.Close())
	}
	return db, nil
}

// Size in bytes, as the server counts it.
func (p *base) Size(ctx context.Context, b hub.Backend, c hub.Credentials) (size int64, err error) {
	a, err := p.address(b, c)
	if err != nil {
		return 0, err
	}
	err = p.with(ctx, a, "measuring the database", func(db *sql.DB) error {
		return db.QueryRowContext(ctx, `SELECT pg_database_size(current_database())`).Scan(&size)
	})
	return size, err
}

// with lends out one connection.
func (p *base) with(ctx context.Context, a address, doing string, f func(*sql.DB) error) error {
	db, err := a.open(p.dialer, 1)
	if err != nil {
		return err
	}
	err = f(db)
	if cerr := db.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		return nil
	}
	return failed(ctx, a.explain(ctx, doing, err))
}

// failed is an error as the pipeline tells it. The end of ctx passes through.
func failed(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil {
		return fmt.Errorf("%w (%w)", end, err)
	}
	var f *fault
	if errors.As(err, &f) {
		return f.step()
	}
	return err
}
