// Package goldencopy shows what a copy of a golden file saves over running the enterprise plan's SQL on a new file, and that the copy is
// worth the same.
//
// Both ways take turns in the same run, on the same disk, with the same promise: what is done is synced. The slow way is the pipeline's own
// (one transaction a step, each with its ledger row): it is what happens where there is no golden file, and the targets are held against it.
// Because a reader may object that a hurried pipeline could sync only once, the bare SQL in one transaction is measured and reported too
// (once_…). Timed are: the copy alone, synced and linked to its name; and the whole step, with opening, identity and the probe as the tenant.
//
// Every copy is compared with the slow way's file: schema, keys, indexes, the seeds' rows, the ledger. The planted bug is a golden file that
// lacks a table while its ledger is complete: the hub's own probe, which trusts the ledger, does not see it.
package goldencopy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/inspect"
	"github.com/kitshub/kitshub/internal/proof/progress"
	"github.com/kitshub/kitshub/internal/provider/sqlitefile"
	"github.com/kitshub/kitshub/internal/tenantdb"
)

// Result is the JSON line. Times are milliseconds.
type Result struct {
	check.Report
	CopyMS     float64 `json:"copy_ms_p50"`
	WholeMS    float64 `json:"whole_ms_p50"`
	RunMS      float64 `json:"run_ms_p50"`  // the pipeline: a transaction a step
	OnceMS     float64 `json:"once_ms_p50"` // all SQL in one transaction
	Ratio      float64 `json:"ratio"`       // run to copy
	WholeRatio float64 `json:"whole_ratio"` // run to whole
	OnceRatio  float64 `json:"once_ratio"`  // once to copy
	OnceWhole  float64 `json:"once_whole_ratio"`
	Tables     int     `json:"tables"`
	Steps      int     `json:"steps"`
}

// What -strict asks for.
const (
	strictRatio = 10
	strictWhole = 4
	plan        = "enterprise"
)

// bench has what both ways work with.
type bench struct {
	provider *sqlitefile.Provider
	tenantDB *tenantdb.DB
	steps    []hub.Step
	template hub.Template
	version  string
}

// Run makes o.N databases each way.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{}
	res.Begin("golden-copy", o)
	if o.Engine != check.SQLite {
		return res, errors.New("golden files are SQLite's; use -engine sqlite")
	}
	dir, err := os.MkdirTemp("", "kitshub-golden-")
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := newBench(dir, o.Sabotage)
	if err != nil {
		return res, err
	}
	if _, _, err := b.copied(ctx, "ten_first"); err != nil { // builds the golden file, which is not what is timed
		return res, err
	}
	bar := progress.New(o.Log, "databases", o.N)
	defer bar.Close()
	var copies, wholes, runs, onces []float64
	for i := range o.N {
		ran, run, err := b.run(ctx, fmt.Sprintf("ten_run%d", i))
		if err != nil {
			return res, err
		}
		copied, times, err := b.copied(ctx, fmt.Sprintf("ten_copy%d", i))
		if err != nil {
			return res, err
		}
		once, err := b.once(ctx, filepath.Join(dir, fmt.Sprintf("once%d.db", i)))
		if err != nil {
			return res, err
		}
		runs, onces = append(runs, ms(run)), append(onces, ms(once))
		copies, wholes = append(copies, ms(times.copy)), append(wholes, ms(times.whole))
		if err := res.same(ctx, filepath.Join(dir, ran.Place), filepath.Join(dir, copied.Place)); err != nil {
			return res, err
		}
		if err := errors.Join(b.provider.Drop(ctx, ran, hub.Credentials{}), b.provider.Drop(ctx, copied, hub.Credentials{})); err != nil {
			return res, err
		}
		res.Done++
		bar.Add(1)
	}
	res.figures(o, copies, wholes, runs, onces)
	return res, nil
}

func newBench(dir string, sabotage bool) (*bench, error) {
	p, err := sqlitefile.New(sqlitefile.Config{Dir: dir})
	if err != nil {
		return nil, err
	}
	cat, err := catalog.Builtin()
	if err != nil {
		return nil, err
	}
	pl, ok := cat.Plan(plan)
	if !ok {
		return nil, fmt.Errorf("the catalog has no plan %s", plan)
	}
	b := &bench{provider: p, tenantDB: tenantdb.New(catalog.Split), version: cat.Version}
	if b.steps, err = hub.PlanSteps(cat, pl.Features, hub.SQLite); err != nil {
		return nil, err
	}
	b.template = hub.Template{Key: hub.ContentKey(hub.SQLite, b.steps), Build: b.apply}
	if sabotage {
		b.template.Build = func(ctx context.Context, db *sql.DB) error {
			return errors.Join(b.apply(ctx, db), loseTable(ctx, db))
		}
	}
	return b, nil
}

// apply is what the pipeline does for the steps that leave something behind.
func (b *bench) apply(ctx context.Context, db *sql.DB) error {
	for _, s := range b.steps {
		if s.InLedger() {
			if err := b.tenantDB.Apply(ctx, db, hub.SQLite, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// loseTable is the planted bug: the last table that no other refers to is gone, and the ledger says nothing of it.
func loseTable(ctx context.Context, db *sql.DB) error {
	var name string
	err := db.QueryRowContext(ctx, `SELECT t.name FROM sqlite_schema t WHERE t.type = 'table' AND t.name NOT LIKE 'kitshub\_%' ESCAPE '\' AND t.name NOT IN
		(SELECT f."table" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table') ORDER BY t.rowid DESC LIMIT 1`).Scan(&name)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `DROP TABLE "`+name+`"`)
	return err
}

// run makes a database the slow way, as the pipeline does without a golden file.
func (b *bench) run(ctx context.Context, id string) (hub.Backend, time.Duration, error) {
	backend, creds, err := b.provider.Plan(ctx, id, 1)
	if err != nil {
		return backend, 0, err
	}
	begun := time.Now()
	if err := b.provider.Create(ctx, backend, creds, hub.Template{}); err != nil {
		return backend, 0, err
	}
	db, err := b.provider.Open(ctx, backend, creds, hub.RoleOwner)
	if err != nil {
		return backend, 0, err
	}
	err = errors.Join(b.apply(ctx, db), db.Close())
	return backend, time.Since(begun), err
}

// once runs all SQL in one transaction on a new file, synced once.
func (b *bench) once(ctx context.Context, file string) (_ time.Duration, err error) {
	begun := time.Now()
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)")
	if err != nil {
		return 0, err
	}
	db.SetMaxOpenConns(1)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return 0, errors.Join(err, db.Close())
	}
	for _, s := range b.steps {
		if s.InLedger() && err == nil {
			_, err = tx.ExecContext(ctx, s.Source.SQL)
		}
	}
	if err == nil {
		err = tx.Commit()
	}
	err = errors.Join(err, db.Close())
	return time.Since(begun), errors.Join(err, os.Remove(file))
}

type times struct{ copy, whole time.Duration }

// copied makes a database the fast way and takes it as far as the pipeline does: identity, and the probe over the tenant's own connection.
func (b *bench) copied(ctx context.Context, id string) (hub.Backend, times, error) {
	var t times
	backend, creds, err := b.provider.Plan(ctx, id, 1)
	if err != nil {
		return backend, t, err
	}
	begun := time.Now()
	if err := b.provider.Create(ctx, backend, creds, b.template); err != nil {
		return backend, t, err
	}
	t.copy = time.Since(begun)
	err = b.finish(ctx, backend, creds)
	t.whole = time.Since(begun)
	return backend, t, err
}

func (b *bench) finish(ctx context.Context, backend hub.Backend, creds hub.Credentials) error {
	owner, err := b.provider.Open(ctx, backend, creds, hub.RoleOwner)
	if err != nil {
		return err
	}
	identity := hub.Identity{TenantID: backend.TenantID, Generation: backend.Generation, CatalogVersion: b.version, MAC: "proof"}
	if err := b.tenantDB.Identify(ctx, owner, hub.SQLite, identity); err != nil {
		return errors.Join(err, owner.Close())
	}
	tenant, err := b.provider.Open(ctx, backend, creds, hub.RoleTenant)
	if err != nil {
		return errors.Join(err, owner.Close())
	}
	err = b.tenantDB.Probe(ctx, tenant, hub.SQLite, identity, b.steps)
	return errors.Join(err, tenant.Close(), owner.Close())
}

// same holds the copy against the statements' result.
func (r *Result) same(ctx context.Context, ran, copied string) error {
	want, ledger, err := look(ctx, ran)
	if err != nil {
		return err
	}
	got, ledgerOfCopy, err := look(ctx, copied)
	if err != nil {
		return err
	}
	for _, d := range want.Diff(got) {
		r.Violate("the copy is not what the statements make: %s", d)
	}
	if !maps.Equal(ledger, ledgerOfCopy) {
		r.Violate("the copy's ledger is not what the statements leave")
	}
	r.Tables, r.Steps = want.Tables(), len(ledger)
	return nil
}

func look(ctx context.Context, file string) (inspect.Facts, map[string]int, error) {
	db, err := inspect.Open(file)
	if err != nil {
		return nil, nil, err
	}
	facts, err := inspect.Of(ctx, db)
	if err = errors.Join(err, db.Close()); err != nil {
		return nil, nil, err
	}
	ledger, err := inspect.Effects(ctx, file, `SELECT step || ' ' || checksum, '' FROM kitshub_ledger`)
	return facts, ledger, err
}

func (r *Result) figures(o check.Options, copies, wholes, runs, onces []float64) {
	r.CopyMS, r.WholeMS, r.RunMS, r.OnceMS = check.Median(copies), check.Median(wholes), check.Median(runs), check.Median(onces)
	r.Ratio, r.WholeRatio, r.OnceRatio, r.OnceWhole = round(r.RunMS/r.CopyMS), round(r.RunMS/r.WholeMS), round(r.OnceMS/r.CopyMS), round(r.OnceMS/r.WholeMS)
	if !o.Strict {
		return
	}
	if got := r.Ratio; got < strictRatio {
		r.Violate("the copy is %.1f times as fast as running the SQL, less than %d", got, strictRatio)
	}
	if got := r.WholeRatio; got < strictWhole {
		r.Violate("the whole step is %.1f times as fast as running the SQL, less than %d", got, strictWhole)
	}
}

func ms(d time.Duration) float64 { return round(float64(d) / float64(time.Millisecond)) }

func round(x float64) float64 { return float64(int64(x*100+0.5)) / 100 }
