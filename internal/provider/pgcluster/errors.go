package pgcluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// SQLSTATE codes that are met and meant (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codeDuplicateObject = "42710"
	codeNoRole          = "42704"
	codeNoDatabase      = "3D000"
	codeInUse           = "55006"
	codeNotInState      = "55000" // "database … is not currently accepting connections", "cannot use invalid database …"
	codeLock            = "55P03"
	codeDependents      = "2BP01"
	codeAuth            = "28000"
	codePassword        = "28P01"
	codeNoRight         = "42501"
)

// fault makes a *hub.StepError of an error met while doing op. One that is a *hub.StepError already, and the end of ctx, pass through.
func fault(ctx context.Context, op string, err error) error {
	var step *hub.StepError
	if err == nil || errors.As(err, &step) {
		return err
	}
	if end := ctx.Err(); end != nil {
		if errors.Is(err, end) {
			return fmt.Errorf("%s: %w", op, err)
		}
		return fmt.Errorf("%s: %w", op, end) // the driver says it in its own words
	}
	class, code := classify(err)
	return &hub.StepError{Class: class, Code: code, Err: fmt.Errorf("%s: %w", op, scrubbed(err))}
}

// classify says what kind of trouble it is.
func classify(err error) (hub.Class, string) {
	if errors.Is(err, errKilled) {
		return hub.ClassNetwork, ""
	}
	return provider.ClassifyPostgres(err)
}

func codeOf(err error) string { return provider.PostgresCode(err) }

// scrubbed keeps what a server says about its connections and leaves out what pgx adds: user, address and database are in the log's other
// fields, and a failing parse of an address would show its password.
func scrubbed(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		return errors.New("the address of the cluster is not a postgres:// URL that can be used")
	}
	return err
}
