//go:build unix

// Package placehttp shows what an exact place costs over HTTP: GET /api/v1/status of a hub with n pending requests, against a bare net/http
// handler in a process of its own that returns the same bytes.
//
// First every customer asks once, as a hub that has just started would be asked (cold_reads_per_s). Then both servers are asked in turns.
// Both get the same load from the same client: many keep-alive connections, each asking with one of (up to) 100,000 distinct status
// tokens. The hub runs as it comes, with all its middleware and a line in its log for each answer; only the rate limits are off, as they would
// refuse the load. Between the turns an operator claims the head of the line, so that every place changes and none can be kept from before.
// Sampled answers are held against the order in which the line was written.
//
// The planted bug is the index's own (build tag sabotage): somebody with a higher class ahead is told one place too few.
package placehttp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// Result is the JSON line.
type Result struct {
	check.Report
	Ratio      float64   `json:"ratio_to_bare_handler"` // of the hub's rate to the bare handler's
	PerS       float64   `json:"reads_per_s"`
	P99MS      float64   `json:"p99_ms"`
	BarePerS   float64   `json:"bare_reads_per_s"`
	BareP99MS  float64   `json:"bare_p99_ms"`
	WarmMS     int64     `json:"warm_ms"` // until the line was in memory
	Tokens     int       `json:"tokens"`
	ColdPerS   float64   `json:"cold_reads_per_s"` // when each token is used for the first time
	Answers    int       `json:"answers"`
	Checked    int64     `json:"checked"`
	BodyBytes  int       `json:"body_bytes"`
	SeedMS     int64     `json:"seed_ms"`
	Rounds     int       `json:"rounds"`
	RoundRatio []float64 `json:"round_ratios"`
	// Processor time an answer, in microseconds: what else runs on the machine changes it less than the rates. 0 where the system does not tell.
	CPUUS     float64 `json:"cpu_us"`
	BareCPUUS float64 `json:"bare_cpu_us"`
	AskCPUUS  float64 `json:"client_cpu_us"` // while it asks the hub
}

const (
	tokensAtMost = 100_000
	conns        = 64
	rounds       = 15 // short ones in turns: what else the machine does hits both alike
	checkEvery   = 8
	minRatio     = 0.6
	longRound    = time.Second
	shortRound   = 100 * time.Millisecond
	fewPending   = 100_000 // with fewer the rounds are short
)

// run is one hub and one bare server over the same line.
type run struct {
	res   *Result
	world *placekit.World
	hub   *drive.Hub
	bare  *placekit.Bare
	oper  *drive.Client
	line  *placekit.Line

	tokens  []string
	claimed int
	checked atomic.Int64
	auth    drive.Header
}

// Run measures with o.N pending.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{}
	res.Begin("place-http", o)
	w, err := placekit.NewWorld(ctx, o)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	r := &run{res: res, world: w, line: placekit.NewLine(o.N+rounds+1, o.Seed)} // n are pending however many were claimed
	if err := r.prepare(ctx, o); err != nil {
		return res, err
	}
	each := longRound
	if o.N < fewPending {
		each = shortRound
	}
	if err := r.rounds(ctx, o, each); err != nil {
		return res, err
	}
	res.Checked = r.checked.Load()
	if res.Checked > 0 {
		res.Done = o.N
	}
	if o.Strict && res.Ratio < minRatio {
		res.Violate("%.2f of the bare handler's rate, less than %.2f", res.Ratio, minRatio)
	}
	return res, nil
}

func (r *run) prepare(ctx context.Context, o check.Options) error {
	begun := time.Now()
	tokens := min(tokensAtMost, len(r.line.All))
	if err := r.world.Seed(ctx, r.line, tokens); err != nil {
		return err
	}
	r.res.SeedMS, r.res.Tokens = time.Since(begun).Milliseconds(), tokens
	fmt.Fprintf(o.Log, "seeded %d pending with %d tokens in %s\n", len(r.line.All), tokens, time.Since(begun).Round(time.Millisecond))
	for i := range tokens {
		r.tokens = append(r.tokens, r.line.Token(i))
	}
	var err error
	if r.hub, err = r.world.Start(ctx, 0, "LOG_LEVEL=info"); err != nil {
		return err
	}
	r.world.Defer(r.hub.Stop)
	r.oper, r.auth = drive.NewClient(r.hub.URL, 1), drive.Bearer(r.world.Token)
	r.world.Defer(func() error { r.oper.Close(); return nil })
	a, err := r.oper.Do(ctx, http.MethodGet, "/api/v1/status", nil, drive.Bearer(r.tokens[0]))
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("a seeded token is answered %d: %s", a.Status, a.Body)
	}
	h := a.Header.Clone()
	for _, own := range []string{"Date", "Content-Length", "Connection"} {
		h.Del(own)
	}
	r.res.BodyBytes = len(a.Body)
	if r.bare, err = placekit.StartBare(ctx, placekit.Answer{Header: h, Body: a.Body}); err != nil {
		return err
	}
	r.world.Defer(r.bare.Stop)
	return nil
}

// load asks a server; only the hub's answers are held against the line.
func (r *run) load(addr string, judge bool, round int) *placekit.Load {
	texts := make([][]byte, len(r.tokens))
	for i, t := range r.tokens {
		texts[i] = placekit.Get(addr, "/api/v1/status", t)
	}
	return &placekit.Load{
		Addr: addr, Conns: conns, Seed: r.res.Seed*1000 + int64(round), CheckEvery: checkEvery,
		Ask:  func(g *rand.Rand) int { return g.IntN(len(r.tokens)) },
		Text: func(i int) []byte { return texts[i] },
		Check: func(i int, body []byte) {
			got := placekit.PositionIn(body) // the bare server's answers are looked at as well, so that the client works the same
			if !judge {
				return
			}
			r.checked.Add(1)
			if want := max(0, int(r.line.Place[i])-r.claimed); got != want {
				r.res.Violate("customer %d was told place %d instead of %d", i, got, want)
			}
		},
	}
}

// The line is in memory when so many answers in a row come so quickly.
const (
	quickAnswers = 20
	quick        = 20 * time.Millisecond
	warmWithin   = time.Minute
)

// inMemory asks, one question after another, until the hub has read its line. A machine that is too busy for quick answers is a fault only where
// speed counts: what is told must be right either way.
func (r *run) inMemory(ctx context.Context, o check.Options) error {
	begun := time.Now()
	for row, i := 0, 0; row < quickAnswers; i++ {
		asked := time.Now()
		err := r.oper.Call(ctx, http.MethodGet, "/api/v1/status", nil, nil, drive.Bearer(r.tokens[i%len(r.tokens)]))
		if err != nil {
			return err
		}
		if row++; time.Since(asked) > quick {
			row = 0
		}
		if time.Since(begun) > warmWithin {
			if o.Strict {
				return fmt.Errorf("answers are not quick even after %s", warmWithin)
			}
			fmt.Fprintf(o.Log, "answers are not quick even after %s\n", warmWithin)
			break
		}
	}
	r.res.WarmMS = time.Since(begun).Milliseconds()
	return nil
}

// everybodyOnce has each token used for the first time.
func (r *run) everybodyOnce(ctx context.Context, o check.Options, addr string) error {
	l := r.load(addr, true, 0)
	var next atomic.Int64
	l.Ask = func(*rand.Rand) int {
		if i := int(next.Add(1)) - 1; i < len(r.tokens) {
			return i
		}
		return -1
	}
	m, err := l.Run(ctx, time.Hour)
	r.res.ColdPerS = m.PerS
	fmt.Fprintf(o.Log, "everybody asked once: %.0f/s p50 %s p99 %s\n", m.PerS, m.P50, m.P99)
	return err
}

// claim takes the head of the line.
func (r *run) claim(ctx context.Context) error {
	var got drive.Request
	if err := r.oper.Call(ctx, http.MethodPost, "/api/v1/requests/claim-next", nil, &got, r.auth); err != nil {
		return fmt.Errorf("claim-next: %w", err)
	}
	if want := r.line.All[r.line.Order[r.claimed]].ID; got.ID != want {
		r.res.Violate("claim-next gave %s instead of the head %s", got.ID, want)
	}
	r.claimed++
	return nil
}

func (r *run) rounds(ctx context.Context, o check.Options, each time.Duration) error {
	addr := strings.TrimPrefix(r.hub.URL, "http://")
	if err := r.inMemory(ctx, o); err != nil {
		return err
	}
	if err := r.everybodyOnce(ctx, o, addr); err != nil {
		return err
	}
	var hub, bare []turn
	for i := -1; i < rounds; i++ { // the first is for warming up
		if err := r.claim(ctx); err != nil {
			return err
		}
		b, err := takeTurn(ctx, r.load(r.bare.Addr, false, i), r.bare.PID, each)
		if err != nil {
			return fmt.Errorf("the bare server: %w", err)
		}
		h, err := takeTurn(ctx, r.load(addr, true, i), r.hub.PID(), each)
		if err != nil {
			return fmt.Errorf("the hub: %w", err)
		}
		fmt.Fprintf(o.Log, "round %d: hub %s; bare %s; ratio %.3f\n", i+1, h, b, h.PerS/b.PerS)
		if i < 0 {
			continue
		}
		hub, bare = append(hub, h), append(bare, b)
		r.res.RoundRatio = append(r.res.RoundRatio, float64(int(1000*h.PerS/b.PerS))/1000)
		r.res.Answers += h.Answers
	}
	r.res.PerS, r.res.BarePerS = median(hub, turn.rate), median(bare, turn.rate)
	r.res.P99MS, r.res.BareP99MS = median(hub, turn.p99), median(bare, turn.p99)
	r.res.CPUUS, r.res.BareCPUUS, r.res.AskCPUUS = median(hub, turn.server), median(bare, turn.server), median(hub, turn.client)
	r.res.Ratio, r.res.Rounds = check.Median(r.res.RoundRatio), rounds
	return nil
}
