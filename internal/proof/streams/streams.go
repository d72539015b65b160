//go:build unix

// Package streams shows that n waiting customers who all watch (GET /api/v1/status/events) see a change at once: the head of the line is
// claimed, and everybody's place is one less.
//
// Each stream has a token and a document of its own. The time counts from the transaction's own time of the claim (claimed_at, so it includes the
// commit) until the client has read the event; everybody must be told exactly the new place in a document of his own, and nobody a wrong
// one; one in a hundred is compared with GET /api/v1/status. A stream's memory is what the hub's resident memory has grown by, divided by n.
// A bare net/http server in a process of its own, which knows its answers, gives the baseline with the same client.
//
// Beside the others stand some clients who never read, with the smallest of windows: they must not slow the rest, and must be cut off. Some
// lose their connection, miss a change and come back by Last-Event-ID: they must be told it, and not what they knew. At the end the hub is
// asked to stop: every stream must be told its end.
//
// The planted bug is the index's own (build tag sabotage): somebody with a higher class ahead is told one place too few.
package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// Result is the JSON line.
type Result struct {
	check.Report
	Open        int       `json:"open"`
	PushP99MS   float64   `json:"push_p99_ms"` // the median of the changes
	PushP50MS   float64   `json:"push_p50_ms"`
	PushMaxMS   float64   `json:"push_max_ms"` // the last stream of the slowest change
	AllP99MS    []float64 `json:"all_p99_ms"`
	KB          float64   `json:"kb_per_stream"`
	KBAfter     float64   `json:"kb_per_stream_after"` // once all changes were pushed
	OpenMS      int64     `json:"open_ms"`             // until all had their first event
	BareP99MS   float64   `json:"bare_push_p99_ms"`
	BareKB      float64   `json:"bare_kb_per_stream"`
	Deaf        int       `json:"deaf"`   // clients that never read
	CutMS       int64     `json:"cut_ms"` // after all else until the hub had cut them all off
	Resumed     int       `json:"resumed"`
	Compared    int       `json:"compared"` // documents with GET /api/v1/status
	EndMS       int64     `json:"end_ms"`   // from SIGTERM until every stream had its end and the hub was gone
	SeedMS      int64     `json:"seed_ms"`
	HubCPUIdle  float64   `json:"hub_cpu_idle"` // processors that the hub uses while nothing changes
	HubCPUMS    float64   `json:"hub_cpu_ms"`   // that the hub works for one change to all
	EventsTotal int64     `json:"events"`
}

const (
	changes     = 5
	maxPush     = 300.0
	maxKB       = 30.0
	resumes     = 2
	cutChanges  = 100 // more than fit into what lies between the hub and a client who does not read
	heads       = changes + resumes + cutChanges
	deafClients = 20
	cutWithin   = 90 * time.Second // the hub's own patience is 10 s from when nothing goes any more
	pushWithin  = 30 * time.Second
	settle      = 700 * time.Millisecond // more than the gap between two events of a stream
	idle        = 4 * time.Second        // long enough for each stream's re-reading, which is part of what open streams cost
)

// Run opens o.N streams.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{Deaf: deafClients}
	res.Begin("streams", o)
	if err := roomFor(o.N); err != nil {
		return res, err
	}
	w, err := placekit.NewWorld(ctx, o)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	line := placekit.NewLine(o.N+heads+deafClients, o.Seed)
	begun := time.Now()
	if err := w.Seed(ctx, line, len(line.All)); err != nil {
		return res, err
	}
	res.SeedMS = time.Since(begun).Milliseconds()
	hub, err := w.Start(ctx, 0)
	if err != nil {
		return res, err
	}
	w.Defer(hub.Stop)
	if err := res.bare(ctx, o, w, line, hub); err != nil {
		return res, fmt.Errorf("the bare server: %w", err)
	}
	if err := res.hub(ctx, o, w, line, hub); err != nil {
		return res, err
	}
	if o.Strict && res.PushP99MS > maxPush {
		res.Violate("the p99 of a push is %.0f ms, more than %.0f", res.PushP99MS, maxPush)
	}
	if o.Strict && res.KB > maxKB {
		res.Violate("%.1f KB a stream, more than %.1f", res.KB, maxKB)
	}
	return res, nil
}

// bare measures the baseline, with the first customer's document for everybody and a number of their own in it.
func (r *Result) bare(ctx context.Context, o check.Options, w *placekit.World, line *placekit.Line, hub *drive.Hub) error {
	c := drive.NewClient(hub.URL, 1)
	defer c.Close()
	call, done := context.WithTimeout(ctx, pushWithin)
	defer done()
	a, err := c.Do(call, http.MethodGet, "/api/v1/status", nil, drive.Bearer(line.Token(0)))
	if err != nil {
		return err
	}
	b, err := placekit.StartBare(ctx, placekit.Answer{Body: a.Body})
	if err != nil {
		return err
	}
	stop := func() error { return b.Stop() }
	defer func() {
		if stop != nil {
			_ = stop()
		}
	}()
	before, err := residentKB(b.PID)
	if err != nil {
		return err
	}
	all := newAudience(b.Addr, o.N)
	defer all.close()
	if err := all.open(ctx, func(int) string { return line.Token(0) }); err != nil {
		return err
	}
	if err := all.await(ctx, o.N, pushWithin, func(_, position int) bool { return position == 0 }); err != nil {
		return err
	}
	now, err := residentKB(b.PID)
	if err != nil {
		return err
	}
	r.BareKB = round1((now - before) / float64(o.N))
	fire := &http.Client{Timeout: pushWithin}
	defer fire.CloseIdleConnections()
	var p99 []float64
	for k := range changes {
		if err := wait(ctx, settle); err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.Addr+"/fire?change="+strconv.Itoa(k+1), nil)
		if err != nil {
			return err
		}
		begun, err := fired(fire, req)
		if err != nil {
			return err
		}
		if err := all.await(ctx, o.N, pushWithin, func(_, position int) bool { return position == k+1 }); err != nil {
			return err
		}
		l := all.latencies(begun)
		p99 = append(p99, placekit.Percentile(l, 99))
	}
	r.BareP99MS = round1(check.Median(p99))
	fmt.Fprintf(w.Log, "bare server: %d streams, p99 %v ms, %.1f KB a stream\n", o.N, p99, r.BareKB)
	err = b.Stop()
	stop = nil
	return err
}

func fired(c *http.Client, req *http.Request) (time.Time, error) {
	res, err := c.Do(req)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return time.Time{}, err
	}
	micro, err := strconv.ParseInt(string(text), 10, 64)
	return time.UnixMicro(micro), err
}

// missed notes who was not told what is true.
func (r *Result) missed(all *audience, err error, want func(i int) int) {
	r.Violate("not everybody was told: %v", err)
	for i, told := range all.told() {
		if told != want(i) {
			r.Violate("customer %d was told place %d last instead of %d", i, told, want(i))
		}
	}
}

func round1(x float64) float64 { return float64(int(10*x+0.5)) / 10 }

// wait lets a pause pass that is part of the measurement, not a hope that something has happened by then.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
