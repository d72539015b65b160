package app

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/kitshub/kitshub/internal/web"
)

// checkTime bounds each check: an answer that takes longer is no answer.
const checkTime = 2 * time.Second

// readiness asks each part the hub needs.
func (a *App) readiness(ctx context.Context) web.Readiness {
	out := web.Readiness{Status: web.OK, Checks: map[string]web.Check{}}
	for _, part := range []struct {
		name  string
		fault string // fit for strangers; the cause goes to the log
		ask   func(context.Context) error
	}{
		{"database", "the hub's database does not answer", a.Store.Ping},
		{"data_dir", "the data directory cannot be written", a.writable},
	} {
		begun := time.Now()
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		err := part.ask(ctx)
		cancel()
		c := web.Check{Status: web.OK, LatencyMS: float64(time.Since(begun).Microseconds()) / 1000}
		if err != nil {
			a.Log.WarnContext(ctx, "not ready", "part", part.name, "error", err)
			c.Status, c.Detail, out.Status = web.Down, part.fault, web.Down
		}
		out.Checks[part.name] = c
	}
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
