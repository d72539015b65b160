package web_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// At most two events a second, also where a slow reading of the state is followed by a quick one.
func TestEventsKeepTheirDistance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends, stop := context.WithCancel(t.Context())
		defer stop()
		streams := web.NewStreams(ends, events.New(), slog.New(slog.DiscardHandler))
		ctx, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		var told []time.Time
		n := uint64(0)
		f := web.Feed{Name: "status", Pace: web.Pace{Reread: time.Millisecond}, Read: func(_ context.Context, b []byte) ([]byte, web.Snapshot, error) {
			if n++; n%2 == 0 {
				<-time.After(400 * time.Millisecond) // the bubble's clock: it takes no time
			}
			told = append(told, time.Now())
			return append(b, 'x'), web.Snapshot{ID: n}, nil
		}}
		if err := streams.Serve(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), f); err != nil {
			t.Error(err)
		}
		for i := 1; i < len(told); i++ {
			if d := told[i].Sub(told[i-1]); d < 500*time.Millisecond {
				t.Errorf("event %d comes %s after the one before", i, d)
			}
		}
		if len(told) < 50 {
			t.Errorf("only %d events in a minute", len(told))
		}
	})
}

// A comment comes at least every 15 seconds, whatever else is told.
func TestCommentsKeepTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends, stop := context.WithCancel(t.Context())
		defer stop()
		bus := events.New()
		streams := web.NewStreams(ends, bus, slog.New(slog.DiscardHandler))
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Minute)
		defer leave()
		w := &timed{ResponseRecorder: httptest.NewRecorder(), last: time.Now()}
		f := web.Feed{Name: "status", Read: func(_ context.Context, b []byte) ([]byte, web.Snapshot, error) {
			return append(b, 'x'), web.Snapshot{ID: uint64(time.Now().UnixNano() / int64(7*time.Second))}, nil //nolint:gosec // positive
		}}
		if err := streams.Serve(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), f); err != nil {
			t.Error(err)
		}
		if w.longest > 15*time.Second || w.longest < 5*time.Second {
			t.Errorf("%s without a comment", w.longest)
		}
	})
}

// A database that does not answer for minutes silences nobody: everybody hears that the hub is there, and the news once it answers again.
func TestTroubleSilencesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends, stop := context.WithCancel(t.Context())
		defer stop()
		bus := events.New()
		streams := web.NewStreams(ends, bus, slog.New(slog.DiscardHandler))
		ctx, leave := context.WithTimeout(t.Context(), 10*time.Minute)
		defer leave()
		begun := time.Now()
		f := web.Feed{Name: "status", Read: func(ctx context.Context, b []byte) ([]byte, web.Snapshot, error) {
			at := time.Since(begun)
			if at > time.Minute && at < 6*time.Minute {
				<-ctx.Done()
				return nil, web.Snapshot{}, ctx.Err()
			}
			return append(b, "read"...), web.Snapshot{ID: uint64(at / time.Minute), Line: true}, nil //nolint:gosec // positive
		}}
		const n = 300
		readers := make([]timed, n)
		var all sync.WaitGroup
		for i := range readers {
			readers[i] = timed{ResponseRecorder: httptest.NewRecorder(), last: begun}
			all.Go(func() {
				if err := streams.Serve(&readers[i], httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil), f); err != nil {
					t.Error(err)
				}
			})
		}
		<-time.After(2 * time.Minute)
		bus.Publish(hub.TopicLine)
		all.Wait()
		for i := range readers {
			w := &readers[i]
			if w.longest > 15*time.Second {
				t.Fatalf("%s without a comment", w.longest)
			}
			if text := w.Body.String(); !strings.Contains(text, "id: 0000000000000000\n") || !strings.Contains(text, "id: 0000000000000006\n") {
				t.Fatalf("%q", text)
			}
		}
	})
}

// timed finds the longest time without a comment.
type timed struct {
	*httptest.ResponseRecorder
	last    time.Time
	longest time.Duration
}

func (w *timed) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte(":")) {
		w.longest, w.last = max(w.longest, time.Since(w.last)), time.Now()
	}
	return w.ResponseRecorder.Write(b)
}
