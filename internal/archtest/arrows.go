package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// layer says what one directory, with those below it, may import of ours.
type layer struct {
	dir      string
	may      []string // directories, each with those below it
	stdOnly  bool     // nothing of others either
	whatever bool     // everything of ours but the test kit, app and cli
}

// layers are the arrows of docs/architecture.md. The first row that holds a directory counts. A package of ours with
// no row is a finding, so that a new one gets its place in the picture when it is made.
var layers = []layer{
	{dir: "cmd/kitshub", may: []string{"internal/cli"}},
	{dir: "cmd/proof", may: []string{"internal/proof", "internal/catalog", pgserver}},
	{dir: "internal/cli", may: []string{"internal/app"}, whatever: true},
	{dir: "internal/app", whatever: true},

	// The domain and its pure parts.
	{dir: "internal/hub", may: []string{"internal/queue", "internal/forecast"}, stdOnly: true},
	{dir: "internal/queue", stdOnly: true},
	{dir: "internal/forecast", stdOnly: true},

	// Inbound: they call the domain and nothing else.
	// What calls and answers look like from outside; it knows no route and no use case.
	{dir: "internal/httpapi/wire", may: []string{"internal/hub", "internal/web"}},
	{dir: "internal/httpapi", may: inbound},
	{dir: "internal/webui", may: inbound},
	{dir: "internal/web", may: domain},
	{dir: "internal/jobs", may: domain},

	// Outbound: they implement the domain's ports and never know one another.
	{dir: "internal/store", may: domain},
	{dir: "internal/vault", may: domain},
	{dir: "internal/mail", may: domain},
	{dir: "internal/webhook", may: domain},
	{dir: "internal/auth", may: domain},
	{dir: "internal/limit", may: domain},
	{dir: "internal/events", may: domain},
	{dir: "internal/backup", may: domain},
	{dir: "internal/obs", may: domain},
	{dir: "internal/catalog", may: domain},
	{dir: "internal/tenantdb", may: domain},
	{dir: "internal/config", may: domain},
	// The way out to addresses that users gave; it knows no words of ours.
	{dir: "internal/egress", stdOnly: true},
	// A provider may use what providers share, never another provider.
	{dir: "internal/provider", may: []string{"internal/hub", "internal/egress", "internal/provider"}},

	// What watches the product from outside must share no code with it, or it would repeat its faults.
	{dir: "internal/proof/drive"},
	{dir: "internal/proof/inspect"},
	// These compare a step as the product does it with the same done by statements, so they need the product's own parts.
	{dir: "internal/proof/goldencopy", may: []string{"internal/proof", "internal/catalog", "internal/hub", "internal/provider", "internal/tenantdb"}},
	{dir: "internal/proof/handover", may: []string{"internal/proof", "internal/catalog", "internal/hub", "internal/provider", "internal/tenantdb", pgserver}},
	// Gives the worlds to the model as the hub does.
	{dir: "internal/proof/forecast", may: []string{"internal/proof", "internal/forecast"}},
	// Measures the index itself, and Redis beside it, which it installs where it is missing.
	{dir: "internal/proof/place", may: []string{"internal/proof", "internal/queue", "internal/testkit/debian"}},
	{dir: "internal/proof", may: []string{"internal/proof", "internal/catalog", pgserver}},
	{dir: "internal/demo", may: []string{"internal/proof", "internal/catalog", pgserver}},
	{dir: "scripts", may: []string{pgserver}},
}

// pgserver is the part of the test kit that programs may use; it does not import testing.
const pgserver = "internal/testkit/pgserver"

var (
	domain  = []string{"internal/hub", "internal/queue", "internal/forecast"}
	inbound = []string{"internal/hub", "internal/queue", "internal/forecast", "internal/web"}
)

// Arrows checks the imports of everything that is not a test.
func Arrows(t *Tree) []Finding {
	var found []Finding
	placeless := map[string]bool{}
	for _, f := range t.Files {
		if f.Test {
			continue
		}
		l, ok := layerOf(f.Dir)
		if !ok {
			if !placeless[f.Dir] {
				found = append(found, Finding{"arrows", f.Dir, "has no row in archtest's table of layers; give it its place there and in docs/architecture.md"})
			}
			placeless[f.Dir] = true
			continue
		}
		for _, imported := range f.Imports {
			if what := l.refuses(f.Dir, imported); what != "" {
				found = append(found, Finding{"arrows", f.Path + ":" + imported, what})
			}
		}
	}
	return found
}

func layerOf(dir string) (layer, bool) {
	i := slices.IndexFunc(layers, func(l layer) bool { return under(dir, l.dir) })
	if i < 0 {
		return layer{}, false
	}
	return layers[i], true
}

// refuses says why a package in this layer may not import that path, or nothing.
func (l layer) refuses(from, imported string) string {
	target, isOurs := ours(imported)
	switch {
	case !isOurs && imported == "testing":
		return "production code does not import testing"
	case !isOurs && l.stdOnly && !standard(imported):
		return l.dir + " imports the standard library only"
	case !isOurs:
		return ""
	case siblings(from, target):
		return "one provider does not know another"
	case under(target, l.dir), allows(l.may, target):
		return ""
	case l.whatever && !testPackage(target) && !under(target, "internal/app") && !under(target, "internal/cli"):
		return ""
	case testPackage(target):
		return "only tests import " + target
	default:
		return fmt.Sprintf("%s may import of ours: %s", l.dir, strings.Join(append([]string{"itself"}, l.may...), ", "))
	}
}

func allows(may []string, target string) bool {
	return slices.ContainsFunc(may, func(dir string) bool { return under(target, dir) })
}

// siblings reports whether two directories are different providers.
func siblings(from, target string) bool {
	const providers = "internal/provider/"
	a, okA := strings.CutPrefix(from, providers)
	b, okB := strings.CutPrefix(target, providers)
	first := func(s string) string { head, _, _ := strings.Cut(s, "/"); return head }
	return okA && okB && first(a) != first(b)
}
