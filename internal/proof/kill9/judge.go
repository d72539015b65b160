package kill9

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/inspect"
)

// How long everybody may take to be ready after the last start. On Postgres making a database is some fifty times the work.
var drainEach = map[string]time.Duration{check.SQLite: 250 * time.Millisecond, check.Postgres: 1500 * time.Millisecond}

const (
	drainBase   = 60 * time.Second
	drainLook   = 200 * time.Millisecond
	judgeAtOnce = 4
)

// drain plays the operator for who is left and waits until nobody is on the way.
func (v *victim) drain(ctx context.Context, l *load, res *Result) error {
	ctx, cancel := context.WithTimeout(ctx, drainBase+time.Duration(len(l.record.promises()))*drainEach[l.provider])
	defer cancel()
	for {
		left, err := l.finishByHand(ctx)
		if err != nil {
			return err
		}
		if left == 0 {
			return nil
		}
		if err := wait(ctx, drainLook); err != nil {
			res.Violate("%d requests were not finished in time", left)
			return nil //nolint:nilerr // the violation says it
		}
	}
}

// finishByHand gives a backend to every request that waits for an operator, and counts who is on the way.
func (l *load) finishByHand(ctx context.Context) (left int, err error) {
	for _, state := range []string{"pending", "in_progress", "credentials_received", "migrating"} {
		list, err := l.oper.Requests(ctx, url.Values{"status": {state}})
		if err != nil {
			return 0, fmt.Errorf("list who is %s: %w", state, err)
		}
		left += len(list)
		for _, r := range list {
			if !l.manual[r.Plan] && (state == "pending" || r.AssignedTo == "auto") {
				continue
			}
			if state == "pending" {
				_, err = l.oper.Move(ctx, r.ID, "claim")
				l.expect("claim", err, "ALREADY_CLAIMED", "INVALID_TRANSITION")
			}
			if state == "pending" || state == "in_progress" {
				l.expect("credentials", l.oper.Give(ctx, r.ID, l.provider), "INVALID_TRANSITION")
			}
		}
	}
	failed, err := l.oper.Requests(ctx, url.Values{"status": {"failed"}})
	if err != nil {
		return 0, fmt.Errorf("list who is failed: %w", err)
	}
	for _, r := range failed { // what passes by itself, as a server that recovers, the hub tries again
		if r.Failure != nil && r.Failure.RetryAt != nil {
			left++
		}
	}
	return left, nil
}

// judge compares the record with what is there.
func (v *victim) judge(ctx context.Context, l *load, judge *inspect.Judge, res *Result) error {
	promises := l.record.promises()
	res.Acked, res.Retried, res.Replayed, res.Survived = len(promises), l.record.retried, l.record.replayed, len(l.record.survived)
	listed, err := l.oper.Requests(ctx, url.Values{"status": {"all"}})
	if err != nil {
		return fmt.Errorf("list all requests: %w", err)
	}
	l.askCustomers(ctx, promises, res)
	if err := v.hub.Stop(); err != nil {
		res.Violate("%v", err)
	}
	v.hub = nil
	requests, tenants, err := v.db.all(ctx)
	if err != nil {
		return fmt.Errorf("read the hub's database: %w", err)
	}
	matchListing(promises, l.record.survived, listed, res)
	matchRows(promises, requests, tenants, res)
	if v.cluster == nil {
		matchFiles(v.opts.DataDir, tenants, res)
	}
	verify(ctx, promises, judge, res)
	return nil
}

// askCustomers looks at each acknowledged sign-up with its own status link, and asks for its database.
func (l *load) askCustomers(ctx context.Context, promises []*promise, res *Result) {
	var mu sync.Mutex
	eachOf(promises, func(p *promise) {
		s, err := l.public.Status(ctx, p.token)
		switch {
		case err != nil:
			res.Violate("the status link of %s (%s) does not work: %v", p.Email, p.id, err)
			return
		case s.Status != "completed":
			res.Violate("%s (%s, %s) is %s: %s", p.Email, p.id, p.Plan, s.Status, s.Reason)
			return
		}
		conn, err := l.public.Reveal(ctx, p.token)
		if err == nil {
			p.place, err = conn.Place()
		}
		if err != nil {
			res.Violate("%s (%s) cannot have the connection details: %v", p.Email, p.id, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		res.Completed++
	})
}

func eachOf(promises []*promise, f func(*promise)) {
	var all sync.WaitGroup
	places := make(chan struct{}, judgeAtOnce)
	for _, p := range promises {
		places <- struct{}{}
		all.Go(func() { f(p); <-places })
	}
	all.Wait()
}

// matchListing holds the record against what operators see: each email once, with the request that was promised.
func matchListing(promises []*promise, survived map[string]bool, listed []drive.Request, res *Result) {
	byEmail, byID := map[string][]string{}, map[string]int{}
	for _, r := range listed {
		byID[r.ID]++
		if r.Status != "cancelled" {
			byEmail[r.Customer.Email] = append(byEmail[r.Customer.Email], r.ID)
		}
		if r.Status != "completed" {
			why := ""
			if f := r.Failure; f != nil {
				why = fmt.Sprintf(": %s, %s %s: %s", f.Step, f.Class, f.Code, f.Cause)
			}
			res.Violate("request %s (%s) is %s in the end%s", r.ID, r.Plan, r.Status, why)
		}
	}
	for _, p := range promises {
		if byID[p.id] == 0 {
			res.Lost++
			res.Violate("the acknowledged sign-up of %s, request %s, is lost", p.Email, p.id)
		}
	}
	for email, ids := range byEmail {
		if len(ids) > 1 {
			res.Duplicated++
			res.Violate("%s has %d requests: %s", email, len(ids), strings.Join(ids, ", "))
		}
	}
	for email := range survived {
		if len(byEmail[email]) != 1 {
			res.Violate("%s was told that it has a request, and has %d", email, len(byEmail[email]))
		}
	}
}

// matchRows does the same with the rows themselves, and with the tenants that belong to them.
func matchRows(promises []*promise, requests []requestRow, tenants []tenantRow, res *Result) {
	byID, ofRequest := map[string]requestRow{}, map[string]int{}
	for _, r := range requests {
		byID[r.id] = r
	}
	for _, t := range tenants {
		ofRequest[t.request]++
	}
	for _, p := range promises {
		r, ok := byID[p.id]
		if !ok {
			continue // counted as lost already
		}
		if r.email != p.Email {
			res.Violate("request %s was promised to %s and belongs to %s", p.id, p.Email, r.email)
		}
		if n := ofRequest[p.id]; n != 1 {
			if n > 1 {
				res.Duplicated++
			}
			res.Violate("request %s of %s has %d tenants", p.id, p.Email, n)
		}
	}
}

// matchFiles finds files without a tenant, tenants without a file, and what was left half made.
func matchFiles(dataDir string, tenants []tenantRow, res *Result) {
	places := map[string]string{}
	for _, t := range tenants {
		if t.state != "purged" {
			places[t.place] = t.id
		}
	}
	found := map[string]bool{}
	err := filepath.WalkDir(dataDir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name := d.Name()
		switch {
		case strings.HasPrefix(name, ".tmp-"):
			res.Orphans++
			res.Violate("%s was left half made", path)
		case strings.HasPrefix(name, "ten_") && strings.HasSuffix(name, ".db"):
			found[name] = true
			if places[name] == "" {
				res.Orphans++
				res.Violate("%s belongs to no tenant", path)
			}
		}
		return nil
	})
	if err != nil {
		res.Violate("look for files: %v", err)
	}
	for place, id := range places {
		if !found[place] {
			res.Orphans++
			res.Violate("tenant %s has no file %s", id, place)
		}
	}
}

// verify opens every acknowledged customer's database.
func verify(ctx context.Context, promises []*promise, judge *inspect.Judge, res *Result) {
	var mu sync.Mutex
	want := effectTimes()
	eachOf(promises, func(p *promise) {
		if p.place == "" {
			return
		}
		wrong, err := judge.Tenant(ctx, p.place, judge.PlanFeatures(p.Plan))
		if err != nil {
			res.Violate("the database of %s (%s): %v", p.Email, p.Plan, err)
			return
		}
		if p.Plan == stepwise {
			times, err := inspect.Effects(ctx, p.place, `SELECT step, '' FROM proof_effects`)
			if err != nil || !maps.Equal(times, want) {
				wrong = append(wrong, fmt.Sprintf("its steps ran %v times (%v)", times, err))
			}
		}
		for _, w := range wrong {
			res.Violate("the database of %s (%s, %s): %s", p.Email, p.Plan, p.id, w)
		}
		if len(wrong) == 0 {
			mu.Lock()
			res.Verified++
			mu.Unlock()
		}
	})
}
