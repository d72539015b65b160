package app

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/kitshub/kitshub/internal/web"
)

// checkTime bounds each check: an answer that takes longer is no answer.
const checkTime = 2 * time.Second

// part is what /readyz asks.
type part struct {
	name  string
	fault string // fit for strangers; the cause goes to the log
	worst web.Health
	ask   func(context.Context) error
}

// parts gives those that the hub works with. It cannot do without its database and its directory; without a tenants' cluster only the work on
// tenants there waits, so that is no reason to take the hub out of service.
func (a *App) parts() []part {
	all := []part{
		{"database", "the hub's database does not answer", web.Down, a.Store.Ping},
		{"data_dir", "the data directory cannot be written", web.Down, a.writable},
	}
	if a.Clusters != nil {
		for _, p := range a.Clusters.All() {
			all = append(all, part{"tenants:" + p.Cluster(), "the cluster does not answer or refuses the hub's login; its tenants' work waits or fails, see the log", web.Degraded, p.Ping})
		}
	}
	return all
}

// readiness asks each part the hub needs, all at once.
func (a *App) readiness(ctx context.Context) web.Readiness {
	out := web.Readiness{Status: web.OK, Checks: map[string]web.Check{}}
	var mu sync.Mutex
	var asked sync.WaitGroup
	for _, p := range a.parts() {
		asked.Go(func() {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(ctx, checkTime)
			defer cancel()
			err := p.ask(ctx)
			c := web.Check{Status: web.OK, LatencyMS: float64(time.Since(begun).Microseconds()) / 1000}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				a.Log.WarnContext(ctx, "not ready", "part", p.name, "error", err)
				c.Status, c.Detail = p.worst, p.fault
				if out.Status != web.Down {
					out.Status = p.worst
				}
			}
			out.Checks[p.name] = c
		})
	}
	asked.Wait()
	return out
}

// writable writes and removes a file, so that a full or read-only disk shows.
func (a *App) writable(context.Context) error {
	f, err := os.CreateTemp(a.Config.DataDir, ".ready-*")
	if err != nil {
		return err
	}
	_, werr := f.Write([]byte("ok\n"))
	return errors.Join(werr, f.Close(), os.Remove(f.Name()))
}
