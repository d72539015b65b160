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
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
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

// stage is what the hub is measured with.
type stage struct {
	*Result
	o       check.Options
	w       *placekit.World
	line    *placekit.Line
	hub     *drive.Hub
	oper    *drive.Client
	all     *audience
	deaf    []*deaf
	who     []int32 // the customers of the seats
	claimed int
}

// hub measures the hub. The streams belong to all but the heads that will be claimed and the last few, who never read.
func (r *Result) hub(ctx context.Context, o check.Options, w *placekit.World, line *placekit.Line, hub *drive.Hub) error {
	s := &stage{Result: r, o: o, w: w, line: line, hub: hub, who: line.Order[heads : heads+o.N], oper: drive.NewClient(hub.URL, 1)}
	defer s.oper.Close()
	before, err := residentKB(hub.PID())
	if err != nil {
		return err
	}
	s.all = newAudience(strings.TrimPrefix(hub.URL, "http://"), o.N)
	defer s.all.close()
	mine := make([][]byte, o.N)
	for i, who := range s.who {
		mine[i] = fmt.Appendf(nil, `"email":"w%d@line.example"`, who)
	}
	s.all.mine = func(i int) []byte { return mine[i] }
	begun := time.Now()
	if err := s.all.open(ctx, s.token); err != nil {
		return err
	}
	if told, err := s.await(ctx); !told || err != nil {
		return err
	}
	r.Open, r.OpenMS = o.N, time.Since(begun).Milliseconds()
	now, err := residentKB(hub.PID())
	if err != nil {
		return err
	}
	r.KB = round1((now - before) / float64(o.N))
	fmt.Fprintf(o.Log, "%d streams are open after %d ms, %.1f KB each\n", o.N, r.OpenMS, r.KB)
	if r.HubCPUIdle, err = cpuDuring(ctx, hub.PID(), idle); err != nil {
		return err
	}
	defer s.hush()
	for _, part := range []func(context.Context) (bool, error){s.openDeaf, s.push, s.resume, s.compare, s.cutOff} {
		if done, err := part(ctx); !done || err != nil {
			return err
		}
	}
	if now, err = residentKB(hub.PID()); err != nil {
		return err
	}
	r.KBAfter, r.EventsTotal = round1((now-before)/float64(o.N)), s.all.events.Load()
	for _, text := range s.all.wrongs() {
		r.Violate("%s", text)
	}
	return s.stop()
}

func (s *stage) token(i int) string { return s.line.Token(int(s.who[i])) }

// place is where a seat stands after so many claims.
func (s *stage) place(i, claimed int) int { return int(s.line.Place[s.who[i]]) - claimed }

// await waits until everybody was told the place of now; false if somebody was not, or was told another one.
func (s *stage) await(ctx context.Context) (bool, error) {
	err := s.all.await(ctx, s.o.N, pushWithin, func(i, position int) bool { return position == s.place(i, s.claimed) })
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		s.missed(s.all, err, func(i int) int { return s.place(i, s.claimed) })
	}
	return err == nil, nil
}

// claim takes the head of the line.
func (s *stage) claim(ctx context.Context) (at time.Time, acked time.Duration, err error) {
	if err := wait(ctx, settle); err != nil {
		return at, 0, err
	}
	var got struct {
		ID        string    `json:"id"`
		ClaimedAt time.Time `json:"claimed_at"`
	}
	ctx, done := context.WithTimeout(ctx, pushWithin)
	defer done()
	called := time.Now()
	if err := s.oper.Call(ctx, http.MethodPost, "/api/v1/requests/claim-next", nil, &got, drive.Bearer(s.w.Token)); err != nil {
		return at, 0, fmt.Errorf("claim-next: %w", err)
	}
	if want := s.line.All[s.line.Order[s.claimed]].ID; got.ID != want {
		return at, 0, fmt.Errorf("claim-next gave %s instead of the head %s", got.ID, want)
	}
	s.claimed++
	return got.ClaimedAt, time.Since(called), nil
}

func (s *stage) openDeaf(ctx context.Context) (bool, error) {
	for k := range deafClients {
		d, err := openDeaf(ctx, s.all.addr, s.line.Token(int(s.line.Order[heads+s.o.N+k])))
		if err != nil {
			return false, err
		}
		s.deaf = append(s.deaf, d)
	}
	return true, nil
}

func (s *stage) hush() {
	for _, d := range s.deaf {
		_ = d.conn.Close()
	}
}

// push measures changes to all.
func (s *stage) push(ctx context.Context) (bool, error) {
	before, err := ticks(s.hub.PID())
	if err != nil {
		return false, err
	}
	var p50, p99 []float64
	for k := 1; k <= changes; k++ {
		at, acked, err := s.claim(ctx)
		if err != nil {
			return false, err
		}
		if told, err := s.await(ctx); !told || err != nil {
			return false, err
		}
		for i, told := range s.all.told() {
			if told != s.place(i, k) && told != s.place(i, k-1) {
				s.Violate("after claim %d customer %d was told place %d instead of %d", k, i, told, s.place(i, k))
			}
		}
		l := s.all.latencies(at)
		p50, p99 = append(p50, placekit.Percentile(l, 50)), append(p99, placekit.Percentile(l, 99))
		s.AllP99MS = append(s.AllP99MS, round1(p99[k-1]))
		s.PushMaxMS = max(s.PushMaxMS, round1(placekit.Percentile(l, 100)))
		fmt.Fprintf(s.o.Log, "change %d: acknowledged after %s, p50 %.0f ms, p99 %.0f ms, last %.0f ms\n",
			k, acked.Round(time.Millisecond), placekit.Percentile(l, 50), placekit.Percentile(l, 99), placekit.Percentile(l, 100))
	}
	s.PushP50MS, s.PushP99MS = round1(check.Median(p50)), round1(check.Median(p99))
	now, err := ticks(s.hub.PID())
	s.HubCPUMS = round1((now - before) / ticksPerS * 1000 / changes)
	return true, err
}

// resume lets some lose their connection and come back: once before a change and once after it.
func (s *stage) resume(ctx context.Context) (bool, error) {
	some := max(1, s.o.N/10)
	for _, missed := range []bool{false, true} {
		s.all.leave(some)
		if missed {
			if _, _, err := s.claim(ctx); err != nil {
				return false, err
			}
		}
		if err := s.all.back(ctx, some, s.token); err != nil {
			return false, err
		}
		if !missed { // only what comes later may be told
			if _, _, err := s.claim(ctx); err != nil {
				return false, err
			}
		}
		if told, err := s.await(ctx); !told || err != nil {
			return false, err
		}
	}
	s.Resumed = resumes * some
	fmt.Fprintf(s.o.Log, "%d came back twice and were told what they had missed\n", some)
	return true, nil
}

// compare holds the last event of some against what the same customer is told when he asks. A forecast may be newer in one of them for a
// moment, so it is asked again for as long as a stream may take to look by itself.
func (s *stage) compare(ctx context.Context) (bool, error) {
	ctx, done := context.WithTimeout(ctx, pushWithin)
	defer done()
	for i := 0; i < s.o.N; i += compared {
		for {
			a, err := s.oper.Do(ctx, http.MethodGet, "/api/v1/status", nil, drive.Bearer(s.token(i)))
			if err != nil {
				return false, err
			}
			asked, told, err := documents(a.Body, s.all.doc(i))
			if err != nil {
				return false, err
			}
			if asked == told {
				break
			}
			if err := wait(ctx, settle/10); err != nil {
				s.Violate("customer %d was told %s, and on asking %s", i, told, asked)
				break
			}
		}
		s.Compared++
	}
	return true, nil
}

// documents gives an answer's document and an event's in one form, without the moment of reading.
func documents(answer, event []byte) (asked, told string, err error) {
	var a struct {
		Data map[string]any `json:"data"`
	}
	var e map[string]any
	if err := errors.Join(json.Unmarshal(answer, &a), json.Unmarshal(event, &e)); err != nil {
		return "", "", fmt.Errorf("%w: %s, %s", err, answer, event)
	}
	delete(a.Data, "as_of")
	delete(e, "as_of")
	one, err := json.Marshal(a.Data)
	if err != nil {
		return "", "", err
	}
	two, err := json.Marshal(e)
	return string(one), string(two), err
}

// cutOff goes on changing the line until all who never read are cut off.
func (s *stage) cutOff(ctx context.Context) (bool, error) {
	begun := time.Now()
	for {
		open := 0
		for _, d := range s.deaf {
			cut, err := d.isCut()
			if err != nil {
				return false, err
			}
			if !cut {
				open++
			}
		}
		s.CutMS = time.Since(begun).Milliseconds()
		if open == 0 {
			fmt.Fprintf(s.o.Log, "those who never read were cut off after %d ms more\n", s.CutMS)
			return true, nil
		}
		if time.Since(begun) > cutWithin {
			s.Violate("%d of %d who never read were not cut off within %s", open, len(s.deaf), cutWithin)
			return false, nil
		}
		if s.claimed == heads { // what is written suffices; from here on it is a matter of the hub's patience
			if err := wait(ctx, settle); err != nil {
				return false, err
			}
			continue
		}
		if _, _, err := s.claim(ctx); err != nil {
			return false, err
		}
		if told, err := s.await(ctx); !told || err != nil {
			return false, err
		}
	}
}

// stop asks the hub to stop.
func (s *stage) stop() error {
	begun := time.Now()
	if err := s.hub.Stop(); err != nil {
		return err
	}
	n := s.all.ended()
	s.EndMS = time.Since(begun).Milliseconds()
	if n != s.o.N {
		s.Violate("%d of %d streams were told their end", n, s.o.N)
	}
	s.Done = n
	fmt.Fprintf(s.o.Log, "%d streams were told their end within %d ms of SIGTERM\n", n, s.EndMS)
	return nil
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
