package cli

import (
	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/hub"
)

type tokensCmd struct {
	Create tokensCreateCmd `cmd:"" help:"Make an API token; it is shown once."`
}

type tokensCreateCmd struct {
	created
	Name string `required:"" help:"What the token is for."`
	Role string `required:"" help:"admin, provisioner or support."`
}

// Help is shown by --help.
func (tokensCreateCmd) Help() string {
	return "Example:\n  kitshub tokens create --name ci --role provisioner"
}

// Run makes the token and prints {id,token}.
func (c tokensCreateCmd) Run(e *env) error {
	return e.with(func(core *app.Core) error {
		t, token, err := core.Service.CreateAPIToken(e.ctx, hub.CLIActor(), c.Name, hub.Rank(c.Role))
		if err != nil {
			return err
		}
		return c.print(e.Out, []string{"id", "token"}, []string{t.ID, token})
	})
}
