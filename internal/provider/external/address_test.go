package external

import (
	"context"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
)

func TestParse(t *testing.T) {
	for raw, want := range map[string]string{
		"postgres://u:p@h/d": "h:5432/d",
		" postgresql://u:p@H.Example.COM.:6000/d?sslmode=require ": "h.example.com:6000/d",
		"postgres://u:p@[2001:DB8::1]:1/d":                         "[2001:db8::1]:1/d",
		"postgres://u:p@10.0.0.1/d%20e":                            "10.0.0.1:5432/d%20e",
		"postgres://u:p@[::ffff:10.0.0.1]/d":                       "10.0.0.1:5432/d",
		// One pooler for all projects of a region: whose the database is, the user's name says.
		"postgres://postgres.abcdefghijklmnopqrst:p@aws-0-eu-central-1.pooler.supabase.com/postgres":                                    "db.abcdefghijklmnopqrst.supabase.co:5432/postgres",
		"postgres://app.x.zyxwvutsrqponmlkjihg:p@AWS-1-us-east-1.pooler.supabase.com.:5432/postgres":                                    "db.zyxwvutsrqponmlkjihg.supabase.co:5432/postgres",
		"postgres://postgres:p@db.abcdefghijklmnopqrst.supabase.co/postgres":                                                            "db.abcdefghijklmnopqrst.supabase.co:5432/postgres",
		"postgres://u:p%40ss%2F%3A%23@h/d?application_name=x&connect_timeout=5&channel_binding=require&target_session_attrs=read-write": "h:5432/d",
	} {
		a, wrong := parse(raw, "f")
		if len(wrong) > 0 || a.place() != want {
			t.Errorf("%s: %s, %v", raw, a.place(), wrong)
			continue
		}
		again, wrong := parse(a.URL(), "f")
		if len(wrong) > 0 || again != a {
			t.Errorf("%s does not come back from %s: %v", raw, a.URL(), wrong)
		}
	}
}

// Each mistake is named, several at once, and nothing of what was written is repeated.
func TestParseRefuses(t *testing.T) {
	const secret = "sEcReT"
	long := strings.Repeat("n", 64)
	for raw, want := range map[string]string{
		"":                                                    "MISSING_FIELD f is needed",
		"h=" + secret:                                         "INVALID_FIELD key=value",
		"host=h password=" + secret:                           "INVALID_FIELD only the URL form is taken",
		"host=h\npassword=" + secret:                          "INVALID_FIELD only the URL form is taken",
		"postgres://u:" + secret + "@h /d":                    "INVALID_FIELD blank",
		"mysql://u:" + secret + "@h/d":                        "INVALID_FIELD does not begin",
		"POSTGRES://u:" + secret + "@h/d":                     "INVALID_FIELD does not begin",
		"postgres:u:" + secret + "@h/d":                       "INVALID_FIELD does not begin",
		"postgres://u:" + secret + "@/d":                      "ADDRESS_REFUSED no host",
		"postgres://u:" + secret + "@h":                       "INVALID_FIELD no database",
		"postgres://u:" + secret + "@h/":                      "INVALID_FIELD no database",
		"postgres://u:" + secret + "@h/a/b":                   "INVALID_FIELD slashes",
		"postgres://u:" + secret + "@h/a%2Fb":                 "INVALID_FIELD slashes",
		"postgres://u:" + secret + "@h/a%00b":                 "INVALID_FIELD control",
		"postgres://u:" + secret + "@h/" + long:               "INVALID_FIELD longer than 63",
		"postgres://" + long + ":" + secret + "@h/d":          "INVALID_FIELD longer than 63",
		"postgres://u@h/d":                                    "CREDENTIALS_INVALID no password",
		"postgres://:" + secret + "@h/d":                      "INVALID_FIELD no user",
		"postgres://h/d":                                      "INVALID_FIELD no user",
		"postgres://u:" + secret + "@h:0/d":                   "INVALID_FIELD port",
		"postgres://u:" + secret + "@h:65536/d":               "INVALID_FIELD port",
		"postgres://u:" + secret + "@h:/d":                    "INVALID_FIELD port",
		"postgres://u:" + secret + "@h:x/d":                   "INVALID_FIELD malformed",
		"postgres://u:" + secret + "@h1,h2/d":                 "ADDRESS_REFUSED several",
		"postgres://u:" + secret + "@h1:1,h2:2/d":             "ADDRESS_REFUSED several",
		"postgres://u:" + secret + "@%2Fvar%2Frun/d":          "ADDRESS_REFUSED path",
		"postgres://u:" + secret + "@/d?host=/var/run":        "ADDRESS_REFUSED no host",
		"postgres://u:" + secret + "@@abstract/d":             "INVALID_FIELD malformed",
		"postgres://u:" + secret + "@h%20x/d":                 "INVALID_FIELD malformed",
		"postgres://u:" + secret + "@h%00/d":                  "INVALID_FIELD malformed",
		"postgres://u:" + secret + "@[fe80::1%25eth0]/d":      "ADDRESS_REFUSED no name or address",
		"postgres://u:" + secret + "@münchen.de/d":            "ADDRESS_REFUSED ASCII",
		"postgres://u:" + secret + "@2130706433/d":            "ADDRESS_REFUSED no name or address",
		"postgres://u:" + secret + "@0177.0.0.1/d":            "ADDRESS_REFUSED no name or address",
		"postgres://u:" + secret + "@0x7F.1/d":                "ADDRESS_REFUSED no name or address",
		"postgres://u:" + secret + "@127.1/d":                 "ADDRESS_REFUSED no name or address",
		"postgres://u:" + secret + "@127.0.0.1../d":           "ADDRESS_REFUSED no name or address",
		"postgres://u:x@h/d?%68ost=" + secret:                 "INVALID_FIELD host",
		"postgres://u:x@h/d?%73sl%72ootcert=" + secret:        "INVALID_FIELD sslrootcert",
		"postgres://u:x@h/d?hostaddr=127.0.0.1":               "INVALID_FIELD hostaddr",
		"host='h' password='" + secret + "' options='-c x=y'": "INVALID_FIELD only the URL form is taken",
		"postgres://u:" + secret + "@..h/d":                   "ADDRESS_REFUSED path",
		"postgres://u:" + secret + "#x@h/d":                   "INVALID_FIELD malformed",
		"postgres://u:" + secret + "@h/d#frag":                "INVALID_FIELD a #",
		"postgres://u:x?" + secret + "@h/d":                   "INVALID_FIELD malformed",
		"postgres://u:x@h/d?" + secret + "=1":                 "INVALID_FIELD a key that is not known",
		"postgres://u:x@h/d?sslrootcert=" + secret:            "INVALID_FIELD sslrootcert",
		"postgres://u:x@h/d?sslrootcert=system":               "INVALID_FIELD sslrootcert",
		"postgres://u:x@h/d?sslkey=" + secret:                 "INVALID_FIELD sslkey",
		"postgres://u:x@h/d?sslcert=" + secret:                "INVALID_FIELD sslcert",
		"postgres://u:x@h/d?servicefile=" + secret:            "INVALID_FIELD servicefile",
		"postgres://u:x@h/d?service=" + secret:                "INVALID_FIELD service",
		"postgres://u:x@h/d?passfile=" + secret:               "INVALID_FIELD passfile",
		"postgres://u:x@h/d?options=-c%20" + secret:           "INVALID_FIELD options",
		"postgres://u:x@h/d?host=" + secret:                   "INVALID_FIELD host",
		"postgres://u:x@h/d?HOST=" + secret:                   "INVALID_FIELD host",
		"postgres://u:x@h/d?port=1":                           "INVALID_FIELD port",
		"postgres://u:x@h/d?sslmode=" + secret:                "INVALID_FIELD sslmode",
		"postgres://u:x@h/d?sslmode=require&sslmode=disable":  "INVALID_FIELD twice",
		"postgres://u:x@h/d?target_session_attrs=standby":     "INVALID_FIELD target_session_attrs",
		"postgres://u:x@h/d?connect_timeout=" + secret:        "INVALID_FIELD connect_timeout",
		"postgres://u:x@h/d?application_name=" + long:         "INVALID_FIELD application_name",
		"postgres://u:x@h/d?a=%zz":                            "INVALID_FIELD malformed",
		"postgres://u:x@h/d?a=1;b=2":                          "INVALID_FIELD &",
		"postgres://" + strings.Repeat("x", 5000):             "INVALID_FIELD too long",
	} {
		_, wrong := parse(raw, "f")
		code, words, _ := strings.Cut(want, " ")
		found := slices.ContainsFunc(wrong, func(e *hub.Error) bool {
			return string(e.Code) == code && strings.Contains(e.Error(), words) && e.Field == "f" && e.Fix != ""
		})
		if !found {
			t.Errorf("%s: %v, want %s", raw, wrong, want)
		}
		for _, e := range wrong {
			if strings.Contains(e.Error(), secret) {
				t.Errorf("%s is repeated: %v", raw, e)
			}
		}
	}
	if _, wrong := parse("postgres://h:0/?sslkey=1&options=2", "f"); len(wrong) != 6 {
		t.Errorf("%d of 6 mistakes are told: %v", len(wrong), wrong)
	}
}

// hostile is an environment that would lead a driver elsewhere.
func hostile(t testing.TB) {
	for name, value := range map[string]string{
		"PGHOST": "evil.example", "PGPORT": "1", "PGDATABASE": "evil", "PGUSER": "evil", "PGPASSWORD": "evil", "PGPASSFILE": "/etc/passwd", "PGSERVICE": "evil",
		"PGSERVICEFILE": "/etc/passwd", "PGOPTIONS": "-c role=evil", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/etc/passwd", "PGSSLKEY": "/etc/passwd",
		"PGSSLCERT": "/etc/passwd", "PGAPPNAME": "evil", "PGCONNECT_TIMEOUT": "evil", "PGTARGETSESSIONATTRS": "evil", "PGTZ": "evil", "PGCHANNELBINDING": "evil",
		"PGREQUIREAUTH": "evil", "PGSSLNEGOTIATION": "direct", "PGMINPROTOCOLVERSION": "evil", "PGMAXPROTOCOLVERSION": "evil", "PGSSLCERTMODE": "require",
		"HOME": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
}

// TestEnvironmentHasNoPart also shows what is sent to the server at first: user, database and name, and no more.
func TestEnvironmentHasNoPart(t *testing.T) {
	hostile(t)
	a, wrong := parse("postgres://u:p@h.example:99/d?sslmode=require&application_name=shop", "f")
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	c, err := a.config(egress.New(egress.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Host != "h.example" || c.Port != 99 || c.User != "u" || c.Password != "p" || c.Database != "d" || len(c.Fallbacks) != 0 || c.ValidateConnect != nil ||
		c.TLSConfig == nil || c.TLSConfig.RootCAs != nil || len(c.TLSConfig.Certificates) != 0 || c.RequireAuth != "" || c.SSLNegotiation == "direct" ||
		len(c.RuntimeParams) != 1 || c.RuntimeParams["application_name"] != "kitshub" {
		t.Errorf("%+v", c.Config)
	}
}

// FuzzParse: whatever is accepted, pgx dials the host and port that net/url reads in it and nothing else, and the password comes back.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"postgres://u:p@h/d", "postgres://u:p@h:1/d?sslmode=disable", "postgres://u:p@[::1]:2/d?sslmode=allow", "postgres://u:p@h1,h2/d", "postgres://u:p@%2Ftmp/d",
		"postgres://u:p@h/d?host=x", "host=h dbname=d", "postgres://u:p%40@h/d?sslmode=prefer", "postgres://u:p@h@i/d", "postgres://u:p@h:5432:1/d", "postgres://u:p@h./d",
	} {
		f.Add(s)
	}
	hostile(f)
	f.Fuzz(func(t *testing.T, raw string) {
		a, wrong := parse(raw, "f")
		if len(wrong) > 0 {
			return
		}
		u, err := url.Parse(strings.TrimSpace(raw))
		if err != nil {
			t.Fatalf("%q is accepted, but no URL", raw)
		}
		port := u.Port()
		if port == "" {
			port = "5432"
		}
		host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
		if ip, err := netip.ParseAddr(host); err == nil {
			host = ip.Unmap().String()
		}
		var mu sync.Mutex
		asked := map[string]bool{}
		d := egress.New(egress.Options{
			Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
			Resolve: func(_ context.Context, h string) ([]netip.Addr, error) {
				mu.Lock()
				asked[h] = true
				mu.Unlock()
				return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
			},
			Dial: func(_ context.Context, network, address string) (net.Conn, error) {
				h, p, err := net.SplitHostPort(address)
				if _, perr := netip.ParseAddr(host); perr == nil {
					if h != host {
						t.Errorf("%q dials %s", raw, address)
					}
				} else if h != "8.8.8.8" {
					t.Errorf("%q dials %s", raw, address)
				}
				if err != nil || network != "tcp" || strings.TrimLeft(p, "0") != strings.TrimLeft(port, "0") {
					t.Errorf("%q dials %s %s", raw, network, address)
				}
				return nil, errNotDialled
			},
		})
		c, err := a.config(d)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := pgx.ConnectConfig(ctx, c); err == nil {
			t.Fatalf("%q connected", raw)
		}
		for h := range asked {
			if h != host {
				t.Errorf("%q asks for %q, not %q", raw, h, host)
			}
		}
		if again, wrong := parse(a.URL(), "f"); len(wrong) > 0 || again != a {
			t.Errorf("%q does not come back: %v", raw, wrong)
		}
		if want, _ := u.User.Password(); a.password != want {
			t.Errorf("%q: another password", raw)
		}
	})
}
