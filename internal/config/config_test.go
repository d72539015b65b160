package config

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write docs/config.md anew")

// goodKey is 32 bytes that nobody uses.
const goodKey = "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func TestDevelopmentNeedsNothing(t *testing.T) {
	got, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Env: Development, ListenAddr: "127.0.0.1:8080", PublicURL: "http://127.0.0.1:8080", PublicURLDerived: true,
		DataDir: "data", DatabaseMaxConns: 20, DatabaseIdleTimeout: 30 * time.Second, DatabaseConnectTimeout: 2 * time.Second,
		TenantProvider: SQLite, TenantMaxConns: 20, TenantPoolSize: 2, EmailService: EmailFile, EmailFrom: "KiTS Hub <hub@localhost>", PasswordPolicy: PolicyLength,
		EgressAllowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		LogLevel:      slog.LevelInfo, LogFormat: LogJSON, Workers: 4,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if got.Engine() != SQLite {
		t.Error(got.Engine())
	}
}

func TestEverySettingIsRead(t *testing.T) {
	dir := t.TempDir()
	got, err := Load([]string{
		"APP_ENV=production", "LISTEN_ADDR=[::]:9000", "PUBLIC_URL=https://Hub.Example.com:443/", "DATA_DIR=" + dir + "/x/../d",
		"DATABASE_URL=postgres://u:p%40ss@db:5432/hub?sslmode=verify-full", "DATABASE_MAX_CONNS=50", "DATABASE_IDLE_TIMEOUT=1m", "DATABASE_CONNECT_TIMEOUT=500ms",
		"TENANT_PROVIDER=sqlite", "TENANT_DATABASE_URL= postgres://t@[::1]:1/x", "TENANT_DATABASE_URL_EU_WEST=postgresql://e", "TENANT_DATABASE_URL_=", "TENANT_DATABASE_URL_A=postgres://a",
		"TENANT_MAX_CONNS=1000", "TENANT_POOL_SIZE=0", "ENCRYPTION_KEY=" + goodKey, "EMAIL_SERVICE=smtp", "SMTP_URL=smtps://u:p@mail:465", "EMAIL_FROM=Hub <hub@example.com>",
		"PASSWORD_POLICY=complexity", "CATALOG_DIR=" + dir, "CORS_ALLOWED_ORIGINS=https://app.example.com, http://LOCALHOST:3000,",
		"EGRESS_ALLOW_CIDRS=10.20.1.1/16,fd00::1", "TRUSTED_PROXIES=10.1.2.3/8, ::1 ,::ffff:192.0.2.1", "LOG_LEVEL=WARN", "LOG_FORMAT=text", "METRICS_ADDR=127.0.0.1:9090", "WORKERS=64",
		"UNKNOWN=whatever", "WORKERS=8", "malformed",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Env: Production, ListenAddr: "[::]:9000", PublicURL: "https://hub.example.com", DataDir: filepath.Join(dir, "d"),
		DatabaseURL: "postgres://u:p%40ss@db:5432/hub?sslmode=verify-full", DatabaseMaxConns: 50, DatabaseIdleTimeout: time.Minute, DatabaseConnectTimeout: 500 * time.Millisecond,
		TenantProvider: SQLite, TenantClusters: []Cluster{
			{"main", "postgres://t@[::1]:1/x", "TENANT_DATABASE_URL"},
			{"a", "postgres://a", "TENANT_DATABASE_URL_A"},
			{"eu-west", "postgresql://e", "TENANT_DATABASE_URL_EU_WEST"},
		},
		TenantMaxConns: 1000, EncryptionKey: goodKey, EmailService: EmailSMTP, SMTPURL: "smtps://u:p@mail:465", EmailFrom: "Hub <hub@example.com>",
		PasswordPolicy: PolicyComplexity, CatalogDir: dir, CORSAllowedOrigins: []string{"https://app.example.com", "http://localhost:3000"},
		EgressAllowed:  []netip.Prefix{netip.MustParsePrefix("10.20.0.0/16"), netip.MustParsePrefix("fd00::1/128")},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("192.0.2.1/32")},
		LogLevel:       slog.LevelWarn, LogFormat: LogText, MetricsAddr: "127.0.0.1:9090", Workers: 8,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if got.Engine() != Postgres || !got.IsProduction() {
		t.Error(got.Engine(), got.Env)
	}
}

// problemsOf gives the variables of a failed Load, or nil.
func problemsOf(t *testing.T, env ...string) []string {
	t.Helper()
	_, err := Load(env)
	if err == nil {
		return nil
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("not an *Error: %v", err)
	}
	var names []string
	for _, p := range e.Problems {
		if p.Message == "" || p.Fix == "" || !strings.HasSuffix(p.Fix, ".") || strings.HasSuffix(p.Message, ".") {
			t.Errorf("a problem without a next step, or with odd stops: %s", p)
		}
		names = append(names, p.Variable)
	}
	return names
}

func TestProductionRules(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  []string
		want []string
	}{
		{"nothing set", nil, []string{"PUBLIC_URL", "ENCRYPTION_KEY", "EMAIL_SERVICE"}},
		{"blank counts as not set", []string{"PUBLIC_URL= ", "ENCRYPTION_KEY=", "EMAIL_SERVICE="}, []string{"PUBLIC_URL", "ENCRYPTION_KEY", "EMAIL_SERVICE"}},
		{"http", []string{"PUBLIC_URL=http://hub.example.com", "ENCRYPTION_KEY=" + goodKey, "EMAIL_SERVICE=file"}, []string{"PUBLIC_URL"}},
		{"smtp alone", []string{"PUBLIC_URL=https://hub.example.com", "ENCRYPTION_KEY=" + goodKey, "EMAIL_SERVICE=smtp"}, []string{"SMTP_URL", "EMAIL_FROM"}},
		{"file if said so", []string{"PUBLIC_URL=https://hub.example.com", "ENCRYPTION_KEY=" + goodKey, "EMAIL_SERVICE=file"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, problemsOf(t, append(tc.env, "APP_ENV=production")...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestWrongValues feeds each variable wrong values that hold a canary: each must be refused alone, by name, and the
// canary must not show.
func TestWrongValues(t *testing.T) {
	const canary = "s3cr3t-canary"
	file := filepath.Join(t.TempDir(), "file-"+canary)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, values := range map[string][]string{
		"APP_ENV":                  {canary, "prod", "Production"},
		"LISTEN_ADDR":              {canary, "::1:80", "[" + canary + "]:80", "localhost:http", "h:65536", "h:-1", "h:080", "http://h:80", "a b:80"},
		"PUBLIC_URL":               {canary, "ftp://" + canary, "https://u:" + canary + "@h", "https://h/" + canary, "https://h?" + canary, "https://h#" + canary, "https://h:0", "https://", "://" + canary, "https:" + canary},
		"DATA_DIR":                 {file},
		"WORKERS":                  {canary, "0", "65", "4.5", "-1"},
		"CATALOG_DIR":              {file, "/nonexistent/" + canary},
		"DATABASE_URL":             {canary, "mysql://u:" + canary + "@h/d", "postgres://u:%zz" + canary + "@h/d", "sqlite:///" + canary, "postgres:" + canary, "postgres://u:" + canary + "#x@h/d"},
		"DATABASE_MAX_CONNS":       {canary, "1", "1001"},
		"DATABASE_IDLE_TIMEOUT":    {canary, "30", "0s", "2h", "-1s"},
		"DATABASE_CONNECT_TIMEOUT": {canary, "99ms", "61s"},
		"TENANT_PROVIDER":          {canary, "postgres"},
		"TENANT_DATABASE_URL":      {canary, "mysql://" + canary, "postgres://u:%zz" + canary + "@h/d", "postgres:///" + canary, "postgres://h/d?host=" + canary, "postgres:" + canary, "postgres://h/d#" + canary},
		"TENANT_DATABASE_URL_EU":   {canary, "postgres:///" + canary},
		"TENANT_DATABASE_URL_":     {"postgres://" + canary},
		"TENANT_DATABASE_URL_MAIN": {"postgres://" + canary},
		"TENANT_DATABASE_URL_1":    {"postgres://" + canary},
		"TENANT_DATABASE_URL_ü":    {"postgres://" + canary},
		"TENANT_MAX_CONNS":         {canary, "2", "1001"},
		"TENANT_POOL_SIZE":         {canary, "-1", "1001"},
		"ENCRYPTION_KEY": {
			canary, "base64:" + canary, "base64:AAAA", "hex:" + canary, "hex:00", "passphrase:short", "file:", "file:/nonexistent/" + canary, "exec:", "exec: ", "plain:" + canary,
		},
		"PASSWORD_POLICY":      {canary},
		"EMAIL_SERVICE":        {canary, "resend"},
		"SMTP_URL":             {canary, "http://" + canary, "smtp://", "smtp://h:0", "smtp://h/" + canary, "smtp://u:%zz" + canary + "@h"},
		"EMAIL_FROM":           {canary, "<" + canary, "a@b, c@d"},
		"CORS_ALLOWED_ORIGINS": {"*", canary, "https://ok.example, https://h/" + canary, "null"},
		"EGRESS_ALLOW_CIDRS":   {canary, "10.0.0.0/8," + canary, "0.0.0.0/0", "::/0", "none,10.0.0.0/8"},
		"TRUSTED_PROXIES":      {canary, "10.0.0.0/8," + canary, "0.0.0.0/0", "::/0", "10.0.0.0/33"},
		"LOG_LEVEL":            {canary, "trace"},
		"LOG_FORMAT":           {canary},
		"METRICS_ADDR":         {canary, "127.0.0.1:8080"},
	} {
		for _, value := range values {
			if diff := cmp.Diff([]string{name}, problemsOf(t, name+"="+value)); diff != "" {
				t.Errorf("%s=%q: %s", name, value, diff)
			}
			if _, err := Load([]string{name + "=" + value}); strings.Contains(fmt.Sprint(err), canary) {
				t.Errorf("%s=%q: the message shows the value: %v", name, value, err)
			}
		}
	}
	for _, s := range Settings() { // a setting without a wrong value would be one that is not checked
		if (s.set == nil) == (s.each == nil) || s.Doc == "" || s.Default == "" && s.Shown == "" {
			t.Errorf("%s: the row is not complete", s.Name)
		}
	}
}

func TestAllProblemsAtOnceInTheDocumentsOrder(t *testing.T) {
	_, err := Load([]string{"LOG_LEVEL=x", "WORKERS=x", "APP_ENV=production", "EMAIL_SERVICE=resend"})
	want := strings.Join([]string{
		"PUBLIC_URL: it is required in production. Set it to the https address customers use, for example https://hub.example.com.",
		"WORKERS: it is not a whole number in its range. Use a number from 1 to 64.",
		"ENCRYPTION_KEY: it is required in production. Make one by `openssl rand -base64 32` and set base64: followed by it; keep a copy apart from the database.",
		"EMAIL_SERVICE: resend is not supported by this version yet. Use smtp (Resend offers it too) or file.",
		"LOG_LEVEL: it has a value that is not known. Use debug, info, warn or error.",
	}, "\n")
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestGoodKeysAndAddresses(t *testing.T) {
	b64 := "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	for _, entry := range []string{
		"ENCRYPTION_KEY=" + b64, "ENCRYPTION_KEY=" + b64 + "=", "ENCRYPTION_KEY=" + b64 + "=\r\n", "ENCRYPTION_KEY=passphrase:  twelve chars", "ENCRYPTION_KEY=exec:cat /x",
		"LISTEN_ADDR=:0", "LISTEN_ADDR=localhost:80", "LISTEN_ADDR=[fe80::1%eth0]:80", "METRICS_ADDR=:0",
		"SMTP_URL=smtp://localhost", "EMAIL_FROM=Jörg <j@example.com>",
		"PUBLIC_URL=http://[::1]:8080", "TRUSTED_PROXIES=fe80::1%eth0",
	} {
		if _, err := Load([]string{entry}); err != nil {
			t.Errorf("%s: %v", entry, err)
		}
	}
}

// Where tenants' databases are made, when nobody or somebody says so.
func TestTenants(t *testing.T) {
	for _, tc := range []struct {
		name, provider, clusters, problems string
		env                                []string
	}{
		{name: "nothing", provider: SQLite},
		{name: "hub on Postgres", env: []string{"DATABASE_URL=postgres://h/hub"}, provider: Postgres, clusters: "main=DATABASE_URL"},
		{name: "tenants on Postgres", env: []string{"TENANT_DATABASE_URL=postgres://t"}, provider: Postgres, clusters: "main=TENANT_DATABASE_URL"},
		{name: "both", env: []string{"DATABASE_URL=postgres://h", "TENANT_DATABASE_URL=postgres://t"}, provider: Postgres, clusters: "main=TENANT_DATABASE_URL"},
		{name: "a named one alone", env: []string{"TENANT_DATABASE_URL_EU=postgres://e"}, provider: Postgres, clusters: "eu=TENANT_DATABASE_URL_EU"},
		{
			name: "a named one beside the hub's", env: []string{"TENANT_DATABASE_URL_EU=postgres://e", "DATABASE_URL=postgres://h"},
			provider: Postgres, clusters: "main=DATABASE_URL eu=TENANT_DATABASE_URL_EU",
		},
		{name: "files for choice", env: []string{"TENANT_PROVIDER=sqlite", "DATABASE_URL=postgres://h"}, provider: SQLite, clusters: "main=DATABASE_URL"},
		{name: "the hub by a socket", env: []string{"DATABASE_URL=postgres:///hub?host=/run/postgresql"}, problems: "TENANT_DATABASE_URL"},
		{name: "the hub by a socket, with files", env: []string{"DATABASE_URL=postgres:///hub?host=/run/postgresql", "TENANT_PROVIDER=sqlite"}, provider: SQLite},
		{
			name: "the hub by a socket, with a cluster", env: []string{"DATABASE_URL=postgres:///hub?host=/run/postgresql", "TENANT_DATABASE_URL=postgres://t"},
			provider: Postgres, clusters: "main=TENANT_DATABASE_URL",
		},
		{name: "one name twice", env: []string{"TENANT_DATABASE_URL_EU=postgres://e", "TENANT_DATABASE_URL_eu=postgres://e"}, problems: "TENANT_DATABASE_URL_eu"},
		{
			name: "all problems at once", env: []string{"TENANT_PROVIDER=postgres", "TENANT_DATABASE_URL_1=x", "TENANT_DATABASE_URL=y", "TENANT_POOL_SIZE=many"},
			problems: "TENANT_DATABASE_URL TENANT_DATABASE_URL_1 TENANT_POOL_SIZE",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(problemsOf(t, tc.env...), " "); got != tc.problems {
				t.Fatalf("problems with %q, want %q", got, tc.problems)
			} else if got != "" {
				return
			}
			c, err := Load(tc.env)
			if err != nil {
				t.Fatal(err)
			}
			var clusters []string
			for _, x := range c.TenantClusters {
				clusters = append(clusters, x.Name+"="+x.Variable)
			}
			if got := strings.Join(clusters, " "); c.TenantProvider != tc.provider || got != tc.clusters {
				t.Errorf("provider %s, clusters %q", c.TenantProvider, got)
			}
		})
	}
}

func TestURLFor(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:8080":      "http://127.0.0.1:8080",
		":8080":               "http://127.0.0.1:8080",
		"0.0.0.0:80":          "http://127.0.0.1:80",
		"[::]:8080":           "http://[::1]:8080",
		"[::1]:8080":          "http://[::1]:8080",
		"[2001:db8::7]:1":     "http://[2001:db8::7]:1",
		"[fe80::1%eth0]:8080": "http://[fe80::1%25eth0]:8080",
		"localhost:8080":      "http://localhost:8080",
		"nonsense":            "",
	} {
		if got := URLFor(addr); got != want {
			t.Errorf("URLFor(%q) = %q, want %q", addr, got, want)
		}
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	const canary = "s3cr3t-canary"
	c, err := Load([]string{"DATABASE_URL=postgres://u:" + canary + "@h/d", "ENCRYPTION_KEY=passphrase:" + canary, "SMTP_URL=smtp://u:" + canary + "@h"})
	if err != nil {
		t.Fatal(err)
	}
	if c.DatabaseURL.Reveal() != "postgres://u:"+canary+"@h/d" { // the positive control: it is there
		t.Fatal("the value is lost")
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "url", c.DatabaseURL)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", c, c, *c, c.SMTPURL, c.EncryptionKey), string(encoded), log.String()} {
		if strings.Contains(text, canary) {
			t.Errorf("a secret shows: %s", text)
		}
	}
}

func TestDocumentIsFresh(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "config.md")
	if *update {
		if err := os.WriteFile(path, []byte(Markdown()), 0o644); err != nil { //nolint:gosec // a document, for everybody
			t.Fatal(err)
		}
	}
	onDisk, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(onDisk), Markdown()); diff != "" {
		t.Errorf("docs/config.md is stale; run `make gen`: %s", diff)
	}
}

// FuzzLoad looks for panics, and for values that reach a message.
func FuzzLoad(f *testing.F) {
	f.Add(uint8(0), "x")
	f.Add(uint8(6), "postgres://u:%zz@h")
	f.Add(uint8(11), "base64:====")
	f.Fuzz(func(t *testing.T, which uint8, value string) {
		s := table[int(which)%len(table)]
		_, err := Load([]string{s.Name + "=" + value})
		const marker = "\u2603canary" // something no message holds by itself
		if _, marked := Load([]string{s.Name + "=" + value + marker}); marked != nil && strings.Contains(marked.Error(), marker) {
			t.Errorf("%s shows its value: %v", s.Name, marked)
		}
		if err != nil && !strings.HasPrefix(strings.TrimPrefix(err.Error(), "TENANT_"), strings.TrimPrefix(s.Name, "TENANT_")+": ") && s.Name != "APP_ENV" && s.Name != "EMAIL_SERVICE" {
			t.Errorf("%s: %v", s.Name, err)
		}
	})
}
