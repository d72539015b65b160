//go:build unix

package orphans

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/pgkit"
)

// rest starts the hub a last time and waits until nothing is on its way: no request, no member of the pool, none that is still to be begun, nothing
// that is to be removed. What the census finds then is what the hub did not put right by itself.
func (r *run) rest(ctx context.Context) error {
	begun := time.Now()
	if err := r.start(ctx); err != nil {
		return err
	}
	within := restBase + time.Duration(len(r.customers))*restEach
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := r.comeToRest(ctx); err != nil {
		r.res.Violate("the hub did not come to rest within %s of its last start: %v", within, err)
		return nil
	}
	r.res.RestMS = time.Since(begun).Milliseconds()
	census, err := r.world.TakeCensus(ctx)
	if err != nil {
		return err
	}
	faults := census.Judge()
	r.res.Before = faults.Count()
	for _, f := range faults.All() {
		fmt.Fprintln(r.o.Log, "before reconcile:", f)
	}
	return nil
}

func (r *run) comeToRest(ctx context.Context) error {
	client := drive.NewClient(r.hub.URL, 2)
	defer client.Close()
	for {
		done, err := r.atRest(ctx, client)
		if done || err != nil && ctx.Err() == nil {
			return err
		}
		if err := pgkit.Wait(ctx, lookEvery); err != nil {
			fmt.Fprintln(r.o.Log, "the hub's last words:", r.hub.Log())
			return fmt.Errorf("on their way are %s: %w", r.underWay(context.WithoutCancel(ctx)), err)
		}
	}
}

func (r *run) atRest(ctx context.Context, client *drive.Client) (bool, error) {
	for len(r.again) > 0 && ctx.Err() == nil {
		r.come(ctx, client)
	}
	if err := r.cancelFailed(ctx, client); err != nil {
		return false, err
	}
	var busy, ready int
	err := r.world.Hub.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM requests WHERE state NOT IN ('completed', 'cancelled')) +
		(SELECT count(*) FROM tenants WHERE state = 'offboarding') + (SELECT count(*) FROM pool_members WHERE state <> 'ready'),
		(SELECT count(*) FROM pool_members WHERE state = 'ready')`).Scan(&busy, &ready)
	return err == nil && busy == 0 && ready == r.pool*len(plans(nil)), err
}

// underWay names what does not come to rest.
func (r *run) underWay(ctx context.Context) string {
	var what string
	err := r.world.Hub.QueryRowContext(ctx, `SELECT coalesce(string_agg(w, '; '), 'nothing') FROM (
		SELECT concat_ws(' ', 'request', id, plan, state, worker) AS w FROM requests WHERE state NOT IN ('completed', 'cancelled')
		UNION ALL SELECT concat_ws(' ', 'tenant', id, state) FROM tenants WHERE state = 'offboarding'
		UNION ALL SELECT concat_ws(' ', 'member', id, plan, state, worker, failure) FROM pool_members WHERE state <> 'ready') x`).Scan(&what)
	if err != nil {
		return err.Error()
	}
	return what
}

// reconcile breaks more, looks whether the command names it, and has it mended while the hub serves.
func (r *run) reconcile(ctx context.Context) error {
	if err := r.hub.Stop(); err != nil {
		r.res.Violate("%v", err)
	}
	r.hub = nil
	if err := r.plant(ctx); err != nil {
		return fmt.Errorf("break something: %w", err)
	}
	opts := r.world.Options(home, "", r.settings()...)
	out, err := opts.Command(ctx, "", "reconcile", "--dry-run", "-o", "json")
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // its exit code says that there is something to do
		return err
	}
	var report struct {
		Findings []json.RawMessage `json:"findings"`
	}
	if jerr := json.Unmarshal(out, &report); jerr != nil {
		return errors.Join(fmt.Errorf("reconcile --dry-run printed %.300q: %w", out, jerr), err)
	}
	r.res.Reported = len(report.Findings)
	if r.res.Reported < r.res.Planted {
		r.res.Violate("%d things were broken on purpose, and reconcile --dry-run names %d: %.2000s", r.res.Planted, r.res.Reported, out)
	}
	if err := r.start(ctx); err != nil {
		return err
	}
	if _, err := opts.Command(ctx, "", "reconcile", "--drop"); err != nil {
		r.res.Violate("reconcile --drop: %v", err)
	}
	return nil
}

// plant leaves on the cluster what a lost row, a kill and a hand would leave. All names are of the hub's own making or have its form.
func (r *run) plant(ctx context.Context) error {
	c, err := r.world.TakeCensus(ctx)
	if err != nil {
		return err
	}
	if len(c.Members) < 2 {
		return fmt.Errorf("the pool has %d members, too few to break two", len(c.Members))
	}
	lost, gone := c.Members[0], c.Members[1]
	prefix := lost.Database[:strings.LastIndex(lost.Database, "_")+1]
	name := func(letter string) string { return prefix + strings.Repeat(letter, 26) }
	id := func(name string) string { return pgx.Identifier{name}.Sanitize() }
	hub := id(pgkit.HubRole)
	if _, err := r.world.Hub.ExecContext(ctx, `DELETE FROM pool_members WHERE id = $1`, lost.ID); err != nil { // its database belongs to nobody now
		return err
	}
	r.res.Planted++
	for _, statements := range [][]string{
		{`DROP DATABASE ` + id(gone.Database)},                                              // a ghost, and below the two roles that are left of it are the ghost's
		{`CREATE DATABASE ` + id(name("a")) + ` OWNER ` + hub + ` ALLOW_CONNECTIONS false`}, // its maker died before it was finished
		{ // likewise, even before that
			`CREATE ROLE ` + id(name("b")+"_o") + ` LOGIN`,
			`COMMENT ON ROLE ` + id(name("b")+"_o") + ` IS 'kitshub:role:` + name("b") + `:0` + c.Tag() + `'`,
		},
		{ // its remover died
			`CREATE DATABASE ` + id(name("c")) + ` OWNER ` + hub + ` ALLOW_CONNECTIONS false`,
			`COMMENT ON DATABASE ` + id(name("c")) + ` IS 'kitshub:dropping:ten_lost:1` + c.Tag() + `'`,
		},
		{ // a tenant whom the hub does not know any more, as after an older backup of its data
			`CREATE DATABASE ` + id(name("d")) + ` OWNER ` + hub,
			`REVOKE ALL ON DATABASE ` + id(name("d")) + ` FROM PUBLIC`,
			`COMMENT ON DATABASE ` + id(name("d")) + ` IS 'kitshub:ten_unknown:1` + c.Tag() + `'`,
		},
	} {
		for _, q := range statements {
			if _, err := r.world.Super.ExecContext(ctx, q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		r.res.Planted++
	}
	return nil
}

// judge takes the census when the hub has come to rest again, and looks at every customer.
func (r *run) judge(ctx context.Context) error {
	restCtx, cancel := context.WithTimeout(ctx, restBase)
	defer cancel()
	if err := r.comeToRest(restCtx); err != nil {
		r.res.Violate("the hub did not come to rest after reconcile: %v", err)
	}
	census, err := r.world.TakeCensus(ctx)
	if err != nil {
		return err
	}
	faults := census.Judge()
	r.res.Orphans, r.res.Ghosts, r.res.Doubles = len(faults.Orphans), len(faults.Ghosts), len(faults.Doubles)
	for _, f := range faults.All() {
		r.res.Violate("after reconcile: %s", f)
	}
	client := drive.NewClient(r.hub.URL, 4)
	defer client.Close()
	var left []*pgkit.Customer
	for _, c := range r.customers {
		if c.Over {
			r.res.Cancelled++
			continue
		}
		left = append(left, c)
	}
	r.res.Acked = len(r.customers)
	given, shared := pgkit.RevealAll(ctx, client, left, &r.res.Report)
	r.res.Completed = len(given)
	r.res.Doubles += shared
	r.res.Verified = r.world.VerifyAll(ctx, given, &r.res.Report)
	err = r.hub.Stop()
	r.hub = nil
	if err != nil {
		r.res.Violate("%v", err)
	}
	return nil
}
