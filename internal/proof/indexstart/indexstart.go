//go:build unix

// Package indexstart shows how soon a hub that starts with n pending requests gives a true answer: from the start of its process to the first
// answer of GET /api/v1/status, which must be right, as must be all that follow while the line is being read into memory.
//
// Customers from all over the line are asked again and again from the moment the process runs. How long the hub says that it read the
// line is shown beside (index_ms). The figure is the slowest of several starts.
//
// The planted bug is the index's own (build tag sabotage): somebody with a higher class ahead is told one place too few.
package indexstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/drive"
	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// Result is the JSON line.
type Result struct {
	check.Report
	MS      int64   `json:"ms"` // the slowest start
	P50MS   int64   `json:"ms_p50"`
	AllMS   []int64 `json:"all_ms"`
	ReadyMS []int64 `json:"ready_ms"` // until /readyz
	IndexMS []int64 `json:"index_ms"` // the reading of the line, as the hub logs it
	SeedMS  int64   `json:"seed_ms"`
	Answers int     `json:"answers"`
}

const (
	starts    = 3
	asked     = 200             // customers with a token
	askWithin = 3 * time.Minute // as much as a start may take, and then some
	askEvery  = 2 * time.Millisecond
	atMost    = 5 * time.Second
	after     = 20 // right answers wanted once the index is there
)

// Run starts hubs over o.N pending.
func Run(ctx context.Context, o check.Options) (_ *Result, err error) {
	res := &Result{}
	res.Begin("index-start", o)
	w, err := placekit.NewWorld(ctx, o)
	defer func() { err = errors.Join(err, w.Close()) }()
	if err != nil {
		return res, err
	}
	line := placekit.NewLine(o.N, o.Seed)
	begun := time.Now()
	if err := w.Seed(ctx, line, min(asked, o.N)); err != nil {
		return res, err
	}
	res.SeedMS = time.Since(begun).Milliseconds()
	fmt.Fprintf(o.Log, "seeded %d pending in %s\n", o.N, time.Since(begun).Round(time.Millisecond))
	for i := range starts {
		if err := res.start(ctx, w, line); err != nil {
			return res, err
		}
		fmt.Fprintf(o.Log, "start %d: ready after %d ms, first true answer after %d ms, the line was read in %d ms\n",
			i+1, res.ReadyMS[i], res.AllMS[i], res.IndexMS[i])
	}
	res.P50MS = check.Median(res.AllMS)
	for _, ms := range res.AllMS {
		res.MS = max(res.MS, ms)
	}
	res.Done = o.N
	if o.Strict && res.MS > atMost.Milliseconds() {
		res.Violate("the first true answer took %d ms, more than %d", res.MS, atMost.Milliseconds())
	}
	return res, nil
}

// start runs a hub until its line is in memory and it has answered from it.
func (r *Result) start(ctx context.Context, w *placekit.World, line *placekit.Line) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	listen, err := drive.FreeAddr()
	if err != nil {
		return err
	}
	read := newWatch()
	opts := w.Options(0, listen, "LOG_LEVEL=info", "LOG_FORMAT=json")
	opts.Log = read
	begun := time.Now()
	first := make(chan error, 1)
	c := drive.NewClient("http://"+listen, 1)
	defer c.Close()
	var firstTrue time.Duration
	var asking sync.WaitGroup
	asking.Go(func() {
		err := r.untilTrue(ctx, c, line)
		firstTrue = time.Since(begun)
		first <- err
	})
	hub, err := drive.Start(ctx, opts)
	if err != nil {
		cancel()
		asking.Wait()
		return err
	}
	err = <-first
	if err == nil {
		err = r.further(ctx, c, line, read)
	}
	r.AllMS, r.ReadyMS = append(r.AllMS, firstTrue.Milliseconds()), append(r.ReadyMS, hub.Ready.Milliseconds())
	r.IndexMS = append(r.IndexMS, read.ms)
	return errors.Join(err, hub.Stop())
}

// untilTrue asks until an answer comes; it must be right.
func (r *Result) untilTrue(ctx context.Context, c *drive.Client, line *placekit.Line) error {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		answered, err := r.ask(ctx, c, line)
		if answered || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer came: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// further asks on until the hub has read its line, and a few times more.
func (r *Result) further(ctx context.Context, c *drive.Client, line *placekit.Line, read *watch) error {
	for left := after; left > 0; {
		if _, err := r.ask(ctx, c, line); err != nil {
			return err
		}
		select {
		case <-read.seen:
			left--
		case <-ctx.Done():
			return fmt.Errorf("the hub does not say that it has read its line: %w", ctx.Err())
		default:
		}
	}
	return nil
}

// ask asks for one customer; false without an answer, or with one that promises a later one.
func (r *Result) ask(ctx context.Context, c *drive.Client, line *placekit.Line) (answered bool, err error) {
	i := r.Answers * 7919 % min(asked, len(line.All))
	a, err := c.Do(ctx, http.MethodGet, "/api/v1/status", nil, drive.Bearer(line.Token(i)))
	if err != nil {
		return false, ctx.Err() // not listening yet
	}
	if a.Status == http.StatusServiceUnavailable {
		return false, nil
	}
	if a.Status != http.StatusOK {
		return false, fmt.Errorf("an answer of %d: %s", a.Status, a.Body)
	}
	r.Answers++
	if got := placekit.PositionIn(a.Body); got != int(line.Place[i]) {
		r.Violate("customer %d was told place %d instead of %d", i, got, line.Place[i])
	}
	return true, nil
}

// watch finds in the hub's log how long it took to read the line.
type watch struct {
	mu   sync.Mutex
	buf  []byte
	done bool
	ms   int64 // once seen is closed
	seen chan struct{}
}

func newWatch() *watch { return &watch{seen: make(chan struct{})} }

var lineRead = regexp.MustCompile(`the line is read.*"ms":(\d+)`)

// Write implements io.Writer.
func (w *watch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return len(p), nil
	}
	w.buf = append(w.buf, p...)
	if m := lineRead.FindSubmatch(w.buf); m != nil {
		w.ms, _ = strconv.ParseInt(string(m[1]), 10, 64) //nolint:errcheck // digits
		w.done = true
		close(w.seen)
	} else if end := bytes.LastIndexByte(w.buf, '\n'); end >= 0 {
		w.buf = w.buf[end+1:]
	}
	return len(p), nil
}
