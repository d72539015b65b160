package cli

import (
	"github.com/kitshub/kitshub/internal/app"
)

type doctorCmd struct{ output }

// Help is shown by --help.
func (doctorCmd) Help() string {
	return "Example:\n  kitshub doctor\n  kitshub doctor -o json | jq -r '.checks[].sql // empty'\n\n" +
		"It looks at the settings, the data directory, the key, the hub's database, the catalog, the mail server, the clusters of customers' databases " +
		"and the pool, and changes nothing. It ends with 0 unless something failed."
}

// Run prints one line for each check, and fails if one failed.
func (c doctorCmd) Run(e *env) error {
	checks := app.Examine(e.ctx, e.environ)
	report := struct {
		Status app.Verdict `json:"status"`
		Checks []app.Check `json:"checks"`
	}{app.VerdictOK, checks}
	rows := make([][]string, len(checks))
	for i, k := range checks {
		next := k.Fix
		if k.SQL != "" {
			next += " " + k.SQL
		}
		rows[i] = []string{string(k.Status), k.Check, k.Detail, next}
	}
	count := func(v app.Verdict) (n int) {
		for _, k := range checks {
			if k.Status == v {
				n++
			}
		}
		return n
	}
	failed, warned := count(app.VerdictFail), count(app.VerdictWarn)
	switch {
	case failed > 0:
		report.Status = app.VerdictFail
	case warned > 0:
		report.Status = app.VerdictWarn
	}
	if err := c.print(e.Out, report, []string{"STATUS", "CHECK", "WHAT IS SO", "NEXT"}, rows); err != nil {
		return err
	}
	switch {
	case failed > 0:
		say(e.Stdio, "%d of %d checks failed.", failed, len(checks))
		return errDone{}
	case warned > 0:
		say(e.Stdio, "the hub can serve; %d of %d checks warn.", warned, len(checks))
	default:
		say(e.Stdio, "all %d checks are well.", len(checks))
	}
	return nil
}
