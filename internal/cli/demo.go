package cli

import (
	"os"

	"github.com/kitshub/kitshub/internal/demo"
)

type demoCmd struct {
	Customers int    `default:"25" help:"How many sign up."`
	Seed      int64  `default:"1" help:"Same seed, same customers."`
	Engine    string `enum:"sqlite,postgres" default:"sqlite" help:"Engine of the throwaway hub and of its customers' databases: sqlite or postgres."`
	JSON      bool   `name:"json" help:"Print the result as one line of JSON."`
	Keep      bool   `help:"Leave the data, and say where it is."`
	Stay      bool   `help:"Leave the hub running after the result, until interrupted."`
}

// Help is shown by --help.
func (demoCmd) Help() string {
	return "Example:\n  kitshub demo --customers 25 --json\n\nIt runs in a place of its own: your DATA_DIR and DATABASE_URL are never touched."
}

// Run shows the main job and fails unless every database was verified.
func (c demoCmd) Run(e *env) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return demo.Run(e.ctx, demo.Options{
		Customers: c.Customers, Seed: c.Seed, Engine: c.Engine, JSON: c.JSON, Keep: c.Keep, Stay: c.Stay, Binary: self,
		Stdout: e.Out, Stderr: e.Err,
	})
}
