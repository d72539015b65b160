//go:build unix

package streams

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/placekit"
)

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
	before, err := placekit.CPU(s.hub.PID())
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
	now, err := placekit.CPU(s.hub.PID())
	s.HubCPUMS = round1((now - before).Seconds() * 1000 / changes)
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
