package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// sayAgain is how often a trouble that lasts is logged anew.
const sayAgain = time.Minute

// loop calls run every so often until it is stopped. It is started once.
type loop struct {
	name    string
	every   time.Duration
	timeout time.Duration // of one call
	run     func(context.Context) error
	log     *slog.Logger

	cancel context.CancelFunc
	ended  chan struct{}

	failing int
	said    time.Time
}

func (l *loop) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	l.cancel, l.ended = cancel, make(chan struct{})
	go func() {
		defer close(l.ended)
		tick := time.NewTicker(l.every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			l.once(ctx)
		}
	}()
}

// stop ends the loop and waits for a call that runs; its context has ended.
func (l *loop) stop() {
	l.cancel()
	<-l.ended
}

func (l *loop) once(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err := l.guarded(call)
	switch {
	case ctx.Err() != nil: // we are stopping; what the call said is of no interest
	case err != nil:
		l.failing++
		if l.failing == 1 || time.Since(l.said) >= sayAgain {
			l.said = time.Now()
			l.log.ErrorContext(ctx, "a regular duty of the hub fails", "duty", l.name, "times", l.failing, "error", err)
		}
	case l.failing > 0:
		l.log.WarnContext(ctx, "a regular duty of the hub works again", "duty", l.name, "failures", l.failing)
		l.failing = 0
	}
}

// guarded turns a panic into an error: a bug in sweeping must not end the heartbeat.
func (l *loop) guarded(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return l.run(ctx)
}
