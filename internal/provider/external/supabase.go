package external

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
)

// Supabase takes projects of Supabase that an operator brings by their fields. It may be used by any number of goroutines.
type Supabase struct {
	base
	now func() time.Time
}

var _ hub.Bringer = (*Supabase)(nil)

// NameSupabase is how backends of Supabase are marked.
const NameSupabase = "supabase"

// The fields of a project, as its dashboard names them.
const (
	fieldRef      = "project_ref"
	fieldURL      = "project_url"
	fieldAnon     = "anon_key"
	fieldService  = "service_role_key"
	fieldPassword = "database_password"
	fieldRegion   = "region"
)

// NewSupabase makes the provider. Every connection goes through the dialer; log may be nil.
func NewSupabase(d *egress.Dialer, log *slog.Logger) *Supabase {
	return &Supabase{base: base{name: NameSupabase, dialer: d, log: logOr(log)}, now: time.Now}
}

// Fields implements hub.Bringer.
func (*Supabase) Fields() []string {
	return []string{fieldRef, fieldURL, fieldAnon, fieldService, fieldPassword, fieldRegion}
}

// project is what was given, judged.
type project struct {
	ref, url, anon, service, password, region string
}

// String hides the keys wherever a project is printed by mistake.
func (pr project) String() string { return pr.ref }

// GoString hides them from %#v.
func (pr project) GoString() string { return pr.ref }

// Bring implements hub.Bringer. The database is reached directly; where the hub's network does not get there, which without IPv6 it seldom does,
// and the region is known, by way of the region's session pooler.
func (p *Supabase) Bring(ctx context.Context, tenantID string, generation int64, given map[string]string) (hub.Backend, hub.Credentials, *hub.Trial, error) {
	pr, wrong := p.read(given)
	if len(wrong) > 0 {
		return hub.Backend{}, hub.Credentials{}, nil, refusal(wrong)
	}
	a, t, err := p.findWay(ctx, pr, whose{tenantID, generation})
	if err != nil {
		return hub.Backend{}, hub.Credentials{}, t, told(err, fieldOf(err))
	}
	b := hub.Backend{TenantID: tenantID, Generation: generation, Provider: p.name, Place: a.place()}
	env := a.env(tenantID)
	env["SUPABASE_URL"], env["SUPABASE_ANON_KEY"], env["SUPABASE_SERVICE_ROLE_KEY"] = pr.url, pr.anon, pr.service
	return b, hub.Credentials{URL: a.URL(), Env: env}, t, nil
}

// fieldOf is the field with which a trouble can be mended.
func fieldOf(err error) string {
	var f *fault
	if errors.As(err, &f) && (f.native == codePassword || f.native == codeAuth) {
		return fieldPassword
	}
	return fieldRef
}

// findWay examines the database over each way there is, until one gets through.
func (p *Supabase) findWay(ctx context.Context, pr project, who whose) (address, *hub.Trial, error) {
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	var before []hub.Check
	var first *fault // what the direct way met, which is the one that people know
	ways := pr.ways()
	for i, a := range ways {
		t, err := func() (*hub.Trial, error) {
			ctx, cancel := context.WithTimeout(ctx, timeFor(ctx, len(ways)-i))
			defer cancel()
			return examine(ctx, p.dialer, a, who)
		}()
		t.Checks = append(before, t.Checks...)
		var f *fault
		if err == nil || !errors.As(err, &f) || !noWay(f, t) {
			return a, t, err
		}
		if first == nil {
			first = f
		}
		if i == len(ways)-1 {
			return a, t, unreachable(first, pr)
		}
		before = append(before[:len(before):len(before)], hub.Check{Name: "route", OK: true, Detail: a.host + ": " + f.message + " Another way is tried."})
	}
	return address{}, nil, errors.New("a project has no way to it") // ways gives one at least
}

// timeFor leaves each way that is still to be tried a fair part of what is left.
func timeFor(ctx context.Context, ways int) time.Duration {
	end, _ := ctx.Deadline()
	if ways == 1 {
		return time.Until(end)
	}
	return min(time.Until(end)/time.Duration(ways), connectTime)
}

// noWay reports that a database could not be reached by this way, so that another may do: nothing came of connecting, or a pooler that does not
// know the project.
func noWay(f *fault, t *hub.Trial) bool {
	last := t.Checks[len(t.Checks)-1].Name
	return last == "address" && f.code == hub.CodeConnectionFailed || last == "connect" && (f.class == hub.ClassNetwork || f.native == "XX000" || f.native == codeNoTenant)
}

// codeNoTenant is what the pooler gives beside XX000 for a project that it does not serve.
const codeNoTenant = "26000"

func unreachable(f *fault, pr project) *fault {
	out := *f
	out.code = hub.CodeConnectionFailed
	switch pr.region {
	case "":
		out.message = "The project's database cannot be reached from the hub's network: " + f.message
		out.fix = "Give its region, so that the pooler can be used; or bring the session pooler's connection string from the project's Connect page with provider manual."
	default:
		out.message = "The project's database cannot be reached, neither directly nor by the pooler of " + pr.region + ": " + f.message
		out.fix = "Check project_ref and region and that the project is not paused; or bring the session pooler's connection string from the project's Connect page with provider manual."
	}
	return &out
}

const (
	dbSuffix     = ".supabase.co"
	poolerSuffix = ".pooler.supabase.com"
	superUser    = "postgres"
)

// ways are the addresses of a project's database, the best first. Which of a region's pooler clusters serves a project cannot be told from its
// region, so they are asked in turn: one that does not know the project says so before it is told a password
// (https://supabase.com/docs/guides/database/connecting-to-postgres).
func (pr project) ways() []address {
	a := address{host: "db." + pr.ref + dbSuffix, port: defaultPort, database: "postgres", user: superUser, password: pr.password, sslmode: "require"}
	ways := []address{a}
	if pr.region == "" {
		return ways
	}
	for cluster := range 2 {
		a.host, a.user = fmt.Sprintf("aws-%d-%s%s", cluster, pr.region, poolerSuffix), superUser+"."+pr.ref
		ways = append(ways, a)
	}
	return ways
}

// server is the host that a database is on. All projects of a region have one pooler, which tells them apart by what the user ends with.
func (a address) server() string {
	if ref := a.user[strings.LastIndex(a.user, ".")+1:]; strings.HasSuffix(a.host, poolerSuffix) && refForm.MatchString(ref) {
		return "db." + ref + dbSuffix
	}
	return a.host
}

var (
	refForm    = regexp.MustCompile(`^[a-z0-9]{20}$`)
	regionForm = regexp.MustCompile(`^[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}$`)
)

// read judges the fields and tells all that is wrong with them; no value is repeated.
func (p *Supabase) read(given map[string]string) (project, []*hub.Error) {
	var wrong []*hub.Error
	say := func(code hub.Code, field, message, fix string) {
		wrong = append(wrong, hub.FieldError(code, field, message, fix))
	}
	get := func(field, fix string) string {
		v := strings.TrimSpace(given[field])
		if v == "" {
			say(hub.CodeMissingField, field, field+" is needed.", fix)
		}
		return v
	}
	var pr project
	if pr.ref = get(fieldRef, "It is in the project's settings, under General."); pr.ref != "" && !refForm.MatchString(pr.ref) {
		say(hub.CodeInvalidField, fieldRef, "This is no project reference.", "It is 20 small letters and digits, as in https://<ref>.supabase.co.")
		pr.ref = ""
	}
	if u := get(fieldURL, "It is https://<ref>.supabase.co."); u != "" {
		var why string
		if pr.url, why = projectURL(u, pr.ref); why != "" {
			say(hub.CodeInvalidField, fieldURL, why, "It is https://<ref>.supabase.co with the project's own reference.")
		}
	}
	keys := "It is in the project's settings, under API keys."
	for _, k := range []struct {
		field, role, prefix string
		into                *string
	}{
		{fieldAnon, "anon", "sb_publishable_", &pr.anon},
		{fieldService, "service_role", "sb_secret_", &pr.service},
	} {
		if *k.into = get(k.field, keys); *k.into != "" {
			if code, why := p.judgeKey(*k.into, k.role, k.prefix, pr.ref); why != "" {
				say(code, k.field, why, keys)
			}
		}
	}
	pr.password = given[fieldPassword]
	if strings.TrimSpace(pr.password) == "" {
		say(hub.CodeMissingField, fieldPassword, fieldPassword+" is needed.", "It was set with the project and can be reset in its database settings.")
	} else if len(pr.password) > 1024 || strings.ContainsAny(pr.password, "\x00\r\n") {
		say(hub.CodeInvalidField, fieldPassword, "The password is no text that a server takes.", "Correct it.")
	}
	if pr.region = strings.TrimSpace(given[fieldRegion]); pr.region != "" && !regionForm.MatchString(pr.region) {
		say(hub.CodeInvalidField, fieldRegion, "This is no region.", "It is as in eu-central-1; leave it out where the hub reaches the project over IPv6.")
	}
	return pr, wrong
}

// projectURL tidies a project's URL, or says what is wrong with it. An empty ref was wrong already.
func projectURL(given, ref string) (tidy, why string) {
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" || u.Port() != "" {
		return "", "This is no project's URL."
	}
	host := strings.ToLower(u.Hostname())
	of, ok := strings.CutSuffix(host, dbSuffix)
	switch {
	case !ok || !refForm.MatchString(of):
		return "", "This is no project's URL."
	case ref != "" && of != ref:
		return "", "The URL belongs to another project than project_ref."
	}
	return "https://" + host, ""
}

// claims are what a key in the form of a JWT says. Its signature cannot be checked, since only the project knows the secret; what is found out is
// a mix-up, not a forgery.
type claims struct {
	Ref     string   `json:"ref"`
	Role    string   `json:"role"`
	Expires *float64 `json:"exp"`
}

// judgeKey says what is wrong with a key. The newer keys tell their kind by their beginning and no project.
func (p *Supabase) judgeKey(key, role, prefix, ref string) (code hub.Code, why string) {
	if strings.HasPrefix(key, "sb_") {
		if !strings.HasPrefix(key, prefix) || len(key) < len(prefix)+8 || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return hub.CodeCredentialsInvalid, "This is a key of another kind; one for the role " + role + " is needed."
		}
		return "", ""
	}
	c, ok := readClaims(key)
	switch {
	case !ok:
		return hub.CodeInvalidField, "This is no key of a Supabase project."
	case c.Role != role:
		return hub.CodeCredentialsInvalid, "This is not the key for the role " + role + "."
	case ref != "" && c.Ref != ref:
		return hub.CodeCredentialsInvalid, "This key belongs to another project than project_ref."
	case c.Expires != nil && *c.Expires < float64(p.now().Unix()):
		return hub.CodeCredentialsInvalid, "This key has expired."
	}
	return "", ""
}

func readClaims(key string) (c claims, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 3 || len(key) > maxString {
		return c, false
	}
	for _, part := range parts {
		if part == "" {
			return c, false
		}
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	return c, err == nil && json.Unmarshal(payload, &c) == nil
}
