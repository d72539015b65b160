package cli

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/kitshub/kitshub/internal/catalog"
)

type catalogCmd struct {
	Lint catalogLintCmd `cmd:"" help:"Find everything that is wrong with a catalog folder."`
	Lock catalogLockCmd `cmd:"" help:"Record the checksums of released migrations in catalog.lock."`
	Show catalogShowCmd `cmd:"" help:"Show plans and features."`
}

type catalogLintCmd struct {
	Dir string `arg:"" optional:"" help:"Catalog folder; without it CATALOG_DIR, or the built-in catalog."`
	output
}

// Help is shown by --help.
func (catalogLintCmd) Help() string {
	return "Example:\n  kitshub catalog lint ./catalog"
}

// Run prints each finding with file and line, and fails if there is one.
func (c catalogLintCmd) Run(e *env) error {
	dir, fsys := c.folder(e)
	if fsys == nil {
		return fmt.Errorf("%s is no folder; name the one that has plans.yaml", dir)
	}
	found := catalog.Lint(e.ctx, fsys)
	type line struct {
		File    string `json:"file"`
		Line    int    `json:"line"`
		Rule    string `json:"rule"`
		Message string `json:"message"`
		Fix     string `json:"fix,omitempty"`
	}
	list := make([]line, len(found))
	for i, f := range found {
		f.File = filepath.Join(dir, f.File)
		list[i] = line{f.File, f.Line, f.Rule, f.Message, f.Fix}
		if c.Output != "json" {
			if err := writeLine(e.Out, f.String()); err != nil {
				return err
			}
		}
	}
	if c.Output == "json" {
		if err := writeJSON(e.Out, list); err != nil {
			return err
		}
	}
	if len(found) > 0 {
		say(e.Stdio, "%d problem(s) found.", len(found))
		return errDone{}
	}
	say(e.Stdio, "the catalog is in order.")
	return nil
}

// folder gives the folder's name for messages, and its files; nil where there is no such folder.
func (c catalogLintCmd) folder(e *env) (string, fs.FS) {
	dir := c.Dir
	if dir == "" {
		dir = e.lookup("CATALOG_DIR")
	}
	if dir == "" {
		return "", catalog.BuiltinFS()
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return dir, nil
	}
	return dir, os.DirFS(dir)
}

type catalogLockCmd struct {
	Dir string `arg:"" help:"Catalog folder."`
}

// Help is shown by --help.
func (catalogLockCmd) Help() string {
	return "Example:\n  kitshub catalog lock ./catalog\n\nRun it when you release: from then on lint refuses an edited or removed migration."
}

// Run writes catalog.lock.
func (c catalogLockCmd) Run(e *env) error {
	if err := catalog.WriteLock(c.Dir); err != nil {
		return err
	}
	say(e.Stdio, "%s is written.", filepath.Join(c.Dir, "catalog.lock"))
	return nil
}

type catalogShowCmd struct {
	Dir string `arg:"" optional:"" help:"Catalog folder; without it CATALOG_DIR, or the built-in catalog."`
	output
}

// Help is shown by --help.
func (catalogShowCmd) Help() string { return "Example:\n  kitshub catalog show" }

// Run lists plans, then features.
func (c catalogShowCmd) Run(e *env) error {
	dir := c.Dir
	if dir == "" {
		dir = e.lookup("CATALOG_DIR")
	}
	cat, err := catalog.Open(dir)
	if err != nil {
		return err
	}
	type plan struct {
		ID           string   `json:"id"`
		Name         string   `json:"name"`
		PriceMonthly int      `json:"price_monthly"`
		PriceYearly  int      `json:"price_yearly"`
		Provisioning string   `json:"provisioning"`
		Features     []string `json:"features"`
	}
	type feature struct {
		Name       string   `json:"name"`
		DependsOn  []string `json:"depends_on"`
		Migrations int      `json:"migrations"`
	}
	out := struct {
		Version  string    `json:"version"`
		Plans    []plan    `json:"plans"`
		Features []feature `json:"features"`
	}{Version: cat.Version}
	var plans, features [][]string
	for _, p := range cat.Plans {
		all, err := cat.Closure(p.Features)
		if err != nil {
			return err
		}
		out.Plans = append(out.Plans, plan{p.ID, p.Name, p.PriceMonthly, p.PriceYearly, string(p.Provisioning), all})
		plans = append(plans, []string{p.ID, strconv.Itoa(p.PriceMonthly), strconv.Itoa(p.PriceYearly), string(p.Provisioning), strings.Join(all, ", ")})
	}
	for _, f := range cat.Features {
		out.Features = append(out.Features, feature{f.Name, f.DependsOn, len(f.Migrations)})
		features = append(features, []string{f.Name, strconv.Itoa(len(f.Migrations)), strings.Join(f.DependsOn, ", ")})
	}
	if c.Output == "json" {
		return writeJSON(e.Out, out)
	}
	if err := c.print(e.Out, nil, []string{"PLAN", "MONTHLY", "YEARLY", "PROVISIONING", "FEATURES"}, plans); err != nil {
		return err
	}
	if err := writeLine(e.Out, ""); err != nil {
		return err
	}
	return c.print(e.Out, nil, []string{"FEATURE", "MIGRATIONS", "DEPENDS ON"}, features)
}

func writeLine(w io.Writer, s string) error {
	_, err := fmt.Fprintln(w, s)
	return err
}
