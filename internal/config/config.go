package config

import (
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // working hours name a time zone, and a bare machine may know none

	"github.com/kitshub/kitshub/internal/hub"
)

// The values of APP_ENV.
const (
	Development = "development"
	Production  = "production"
)

// The values of Engine and TENANT_PROVIDER.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// The values of EMAIL_SERVICE.
const (
	EmailFile = "file" // mails become .eml files in DATA_DIR
	EmailSMTP = "smtp" // mails go to SMTP_URL
)

// The values of PASSWORD_POLICY.
const (
	PolicyLength     = "length"     // length, a blocklist and the user's own words
	PolicyComplexity = "complexity" // the same, and upper, lower, digit, special
)

// The values of LOG_FORMAT.
const (
	LogJSON = "json"
	LogText = "text"
)

// ExitCode is what the process ends with when Load fails: EX_CONFIG of sysexits.h.
const ExitCode = 78

// Config holds every setting, checked and typed. It is a plain value: Load makes it, nobody changes it afterwards.
type Config struct {
	Env string // Development or Production

	ListenAddr       string // host:port the hub listens on; port 0 takes a free one
	PublicURL        string // scheme://host[:port] without a trailing slash, as customers see the hub
	PublicURLDerived bool   // PublicURL was made from ListenAddr; with port 0 make it anew by URLFor once the port is known

	DataDir                string         // cleaned path, relative to the working directory if given so
	DatabaseURL            Secret         // postgres://…, or empty: SQLite in DataDir
	DatabaseMaxConns       int            // 2–1000, Postgres only
	DatabaseIdleTimeout    time.Duration  // 1s–1h, Postgres only
	DatabaseConnectTimeout time.Duration  // 100ms–1m
	TenantProvider         string         // SQLite or Postgres: what makes the databases of automatic plans
	TenantClusters         []Cluster      // where Postgres can make tenants' databases, MainCluster first where there is one
	TenantMaxConns         int            // 3–1000 to each cluster
	TenantPoolSize         int            // databases kept ready for each plan, 0–1000; 0 is off
	EncryptionKey          Secret         // as vault.OpenKey takes it; empty only in development
	EmailService           string         // EmailFile or EmailSMTP
	SMTPURL                Secret         // smtp://… or smtps://…, set when EmailService is EmailSMTP
	EmailFrom              string         // "Name <address>"
	PasswordPolicy         string         // PolicyLength or PolicyComplexity
	CatalogDir             string         // empty: the built-in catalog
	CORSAllowedOrigins     []string       // scheme://host[:port], none by default
	EgressAllowed          []netip.Prefix // special addresses that users may make the hub connect to
	TrustedProxies         []netip.Prefix
	LogLevel               slog.Level
	LogFormat              string        // LogJSON or LogText
	MetricsAddr            string        // empty: /metrics on ListenAddr
	QueueAging             time.Duration // a waiting request rises one priority after so long; 0 is off
	WorkingHours           *hub.Hours    // when operators work; nil: whenever they are logged in
	Workers                int           // pipelines that run side by side in this process, 1–64
}

// Cluster is a Postgres server on which tenants' databases are made.
type Cluster struct {
	Name     string // MainCluster, or what follows TENANT_DATABASE_URL_ in lower case with - for _
	URL      Secret // postgres://… with a host
	Variable string // the setting it came from
}

// MainCluster names the cluster of TENANT_DATABASE_URL, or else of DATABASE_URL.
const MainCluster = "main"

// Engine says which database the hub itself runs on: SQLite or Postgres.
func (c *Config) Engine() string {
	if c.DatabaseURL == "" {
		return SQLite
	}
	return Postgres
}

// IsProduction reports whether the rules of production hold.
func (c *Config) IsProduction() bool { return c.Env == Production }

// SQLitePath gives the hub's own database file when Engine is SQLite.
func (c *Config) SQLitePath() string { return filepath.Join(c.DataDir, "hub.db") }

// MailDir gives the directory for the mails when EmailService is EmailFile.
func (c *Config) MailDir() string { return filepath.Join(c.DataDir, "mail") }

// Secret is a setting that must not be shown: it prints as [secret] by every verb, logger and encoder.
type Secret string

const hidden = "[secret]"

// Reveal gives the value to the one place that uses it.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return `"` + s.String() + `"` }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from JSON and every other encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Load reads the settings from env, a list of NAME=value as os.Environ gives it (of a name given twice the last counts,
// as with exec.Cmd). An empty value counts as not set. The error is an *Error with every problem found.
func Load(env []string) (*Config, error) {
	values := make(map[string]string, len(env))
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}

	c := &Config{}
	var problems []Problem
	given := make(map[string]bool)
	report := func(name string, f *fault) {
		problems = append(problems, Problem{Variable: name, Message: f.message, Fix: f.fix})
	}
	c.Env = Development
	if strings.TrimSpace(values["APP_ENV"]) == Production {
		c.Env = Production // known before the walk, for it decides about the defaults
	}
	for _, s := range table {
		if s.each != nil {
			continue
		}
		value := values[s.Name]
		if !s.secret {
			value = strings.TrimSpace(value)
		}
		given[s.Name] = strings.TrimSpace(value) != ""
		if !given[s.Name] {
			value = s.defaultFor(c.Env)
			if value == Required {
				report(s.Name, &fault{"it is required in production", s.requiredFix})
				value = ""
			}
			if value == "" {
				continue
			}
		}
		if f := s.set(c, value); f != nil {
			report(s.Name, f)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		family, member, ok := familyOf(name)
		if value := strings.TrimSpace(values[name]); ok && value != "" {
			if f := family.each(c, member, value); f != nil {
				report(name, f)
			}
		}
	}
	failed := func(name string) bool {
		return slices.ContainsFunc(problems, func(p Problem) bool { return rank(p.Variable) == rank(name) })
	}
	for _, check := range checks {
		if name, f := check(c, given, failed); f != nil && !failed(name) {
			report(name, f)
		}
	}
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int { return rank(a.Variable) - rank(b.Variable) })
		return nil, &Error{Problems: problems}
	}
	return c, nil
}
