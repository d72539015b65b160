package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/kitshub/kitshub/internal/app"
	"github.com/kitshub/kitshub/internal/hub"
)

type operatorsCmd struct {
	Create operatorsCreateCmd `cmd:"" help:"Add an operator."`
	List   operatorsListCmd   `cmd:"" help:"List the operators."`
}

type operatorsCreateCmd struct {
	created
	Email        string `required:"" help:"Email address to log in with."`
	Name         string `required:"" help:"Name as others see it."`
	Role         string `required:"" help:"admin, provisioner or support."`
	PasswordFile string `required:"" help:"File with the password in its first line; - reads standard input." placeholder:"FILE"`
}

// Help is shown by --help.
func (operatorsCreateCmd) Help() string {
	return "Example:\n  kitshub operators create --email ada@example.com --name Ada --role admin --password-file -"
}

// maxSecretFile bounds what is read as a password.
const maxSecretFile = 4096

// Run adds the operator and prints {id,email,role}.
func (c operatorsCreateCmd) Run(e *env) error {
	password, err := e.readPassword(c.PasswordFile)
	if err != nil {
		return err
	}
	return e.with(func(core *app.Core) error {
		o, err := core.Service.CreateOperator(e.ctx, hub.CLIActor(), hub.NewOperator{Email: c.Email, Name: c.Name, Rank: hub.Rank(c.Role), Password: password})
		if err != nil {
			return err
		}
		return c.print(e.Out, []string{"id", "email", "role"}, []string{o.ID, o.Email, string(o.Rank)})
	})
}

func (e *env) readPassword(file string) (string, error) {
	in := e.In
	if file != "-" {
		f, err := os.Open(file) //nolint:gosec // the person names the file
		if err != nil {
			return "", fmt.Errorf("the password file cannot be read: %w", err)
		}
		defer func() { _ = f.Close() }() // only read from
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxSecretFile+1))
	if err != nil {
		return "", err
	}
	if len(b) > maxSecretFile {
		return "", errors.New("the password file is too large; its first line is the password")
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

type operatorsListCmd struct{ output }

// Help is shown by --help.
func (operatorsListCmd) Help() string { return "Example:\n  kitshub operators list -o json" }

// Run lists them.
func (c operatorsListCmd) Run(e *env) error {
	return e.with(func(core *app.Core) error {
		ops, err := core.Service.Operators(e.ctx)
		if err != nil {
			return err
		}
		list := make([]map[string]string, len(ops))
		rows := make([][]string, len(ops))
		for i, o := range ops {
			list[i] = map[string]string{"id": o.ID, "email": o.Email, "name": o.Name, "role": string(o.Rank)}
			rows[i] = []string{o.ID, o.Email, o.Name, string(o.Rank)}
		}
		return c.print(e.Out, list, []string{"ID", "EMAIL", "NAME", "ROLE"}, rows)
	})
}
