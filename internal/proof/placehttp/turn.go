//go:build unix

package placehttp

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/placekit"
)

// turn is what one server did in one round.
type turn struct {
	placekit.Measured
	serverCPU, clientCPU time.Duration
}

// takeTurn asks the server with this process id for so long. Where the system does not tell the processor time, it is 0.
func takeTurn(ctx context.Context, l *placekit.Load, pid int, each time.Duration) (t turn, err error) {
	server, _ := placekit.CPU(pid)
	client, _ := placekit.CPU(os.Getpid())
	if t.Measured, err = l.Run(ctx, each); err != nil {
		return t, err
	}
	t.serverCPU, _ = placekit.CPU(pid)
	t.clientCPU, _ = placekit.CPU(os.Getpid())
	t.serverCPU -= server
	t.clientCPU -= client
	return t, nil
}

func (t turn) rate() float64   { return t.PerS }
func (t turn) p99() float64    { return float64(t.P99.Microseconds()) / 1000 }
func (t turn) server() float64 { return t.perAnswer(t.serverCPU) }
func (t turn) client() float64 { return t.perAnswer(t.clientCPU) }

// perAnswer is in microseconds.
func (t turn) perAnswer(d time.Duration) float64 {
	return float64(d.Nanoseconds()/int64(max(1, t.Answers))) / 1000
}

// String is for the log.
func (t turn) String() string {
	return fmt.Sprintf("%.0f/s p50 %s p99 %s, processor %.1f µs, of the client %.1f µs", t.PerS, t.P50, t.P99, t.server(), t.client())
}

func median(all []turn, of func(turn) float64) float64 {
	x := make([]float64, len(all))
	for i, t := range all {
		x[i] = of(t)
	}
	return check.Median(x)
}
