package config

import (
	"slices"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Required stands in ProductionDefault for "there is no default: it must be set".
const Required = "required"

// Setting describes one environment variable: the source for Load and for docs/config.md alike.
type Setting struct {
	Name              string
	Default           string // in development; empty is "not set"
	ProductionDefault string // Required, or empty for "the same as in development"
	Shown             string // what the document says in place of an empty or computed default
	Doc               string // Markdown, one paragraph

	requiredFix string // the next step when it is required and missing
	secret      bool   // the value is kept byte for byte, not trimmed
	set         func(c *Config, value string) *fault
	each        func(c *Config, member, value string) *fault // in place of set where Name ends in <NAME>: for each variable that begins so
}

// Settings gives all variables in the order of the document.
func Settings() []Setting { return slices.Clone(table) }

func (s Setting) defaultFor(env string) string {
	if env == Production && s.ProductionDefault != "" {
		return s.ProductionDefault
	}
	return s.Default
}

func rank(name string) int {
	if family, _, ok := familyOf(name); ok {
		name = family.Name
	}
	return slices.IndexFunc(table, func(s Setting) bool { return s.Name == name })
}

// familyOf finds the setting that a variable is a member of, and what stands in it for <NAME>.
func familyOf(name string) (family Setting, member string, ok bool) {
	for _, s := range table {
		if s.each == nil {
			continue
		}
		if member, ok = strings.CutPrefix(name, strings.TrimSuffix(s.Name, "<NAME>")); ok {
			return s, member, true
		}
	}
	return Setting{}, "", false
}

// table is the one list of settings.
var table = slices.Concat(placeSettings, databaseSettings, secretSettings, mailSettings, edgeSettings, logSettings)

var placeSettings = []Setting{
	{
		Name: "APP_ENV", Default: Development,
		Doc: "`development` or `production`. Production has no convenient defaults: what could be unsafe must be said.",
		set: func(c *Config, v string) *fault { return oneOf(&c.Env, v, Development, Production) },
	},
	{
		Name: "LISTEN_ADDR", Default: "127.0.0.1:8080",
		Doc: "`host:port` to listen on. `:8080` is every interface, `[::1]:8080` is IPv6 loopback, port `0` takes a free one.",
		set: func(c *Config, v string) *fault { return address(&c.ListenAddr, v) },
	},
	{
		Name: "PUBLIC_URL", ProductionDefault: Required, Shown: "from LISTEN_ADDR: `http://127.0.0.1:8080`",
		Doc:         "How customers reach the hub, `https://host[:port]` without a path; links in mails begin with it. Production takes https only.",
		requiredFix: "Set it to the https address customers use, for example https://hub.example.com.",
		set:         setPublicURL,
	},
	{
		Name: "DATA_DIR", Default: "./data",
		Doc: "Directory of the embedded database, the tenants' SQLite files, the generated key and mails as files. Made when missing.",
		set: func(c *Config, v string) *fault { return directory(&c.DataDir, v, false) },
	},
	{
		Name: "WORKERS", Default: "4",
		Doc: "How many provisioning pipelines run side by side in this process, 1–64.",
		set: func(c *Config, v string) *fault { return whole(&c.Workers, v, 1, 64) },
	},
	{
		Name: "QUEUE_AGING", Shown: "off",
		Doc: "A waiting request rises one priority class each time it has waited this long, so that nobody starves; 1s–720h. Off by default: the order of the line is priority, then time.",
		set: func(c *Config, v string) *fault {
			if v == "off" || v == "0" {
				return nil
			}
			return duration(&c.QueueAging, v, time.Second, 720*time.Hour)
		},
	},
	{
		Name: "WORKING_HOURS", Shown: "none: whenever they are logged in",
		Doc: "When operators work, for the forecast: `Mon-Fri 09:00-17:00, Sat 10:00-14:00; Europe/Berlin`.",
		set: func(c *Config, v string) *fault {
			h, err := hub.ParseHours(v)
			if err != nil {
				return &fault{"it cannot be read", "Write days, times and a time zone: Mon-Fri 09:00-17:00, Sat 10:00-14:00; Europe/Berlin."}
			}
			c.WorkingHours = h
			return nil
		},
	},
	{
		Name: "CATALOG_DIR", Shown: "built in",
		Doc: "Directory with your own plans and features. `kitshub catalog lint DIR` checks it.",
		set: func(c *Config, v string) *fault { return directory(&c.CatalogDir, v, true) },
	},
}

var databaseSettings = []Setting{
	{
		Name: "DATABASE_URL", Shown: "SQLite in DATA_DIR", secret: true,
		Doc: "The hub's own database. Empty is SQLite in DATA_DIR; `postgres://user:password@host:5432/name` (15 or newer) switches the engine and lets several hubs share the work.",
		set: setDatabaseURL,
	},
	{
		Name: "DATABASE_MAX_CONNS", Default: "20",
		Doc: "Most connections to Postgres at once, 2–1000. SQLite takes no notice.",
		set: func(c *Config, v string) *fault { return whole(&c.DatabaseMaxConns, v, 2, 1000) },
	},
	{
		Name: "DATABASE_IDLE_TIMEOUT", Default: "30s",
		Doc: "A Postgres connection unused for so long is closed, 1s–1h.",
		set: func(c *Config, v string) *fault { return duration(&c.DatabaseIdleTimeout, v, idleMin, idleMax) },
	},
	{
		Name: "DATABASE_CONNECT_TIMEOUT", Default: "2s",
		Doc: "How long one attempt to connect may take, 100ms–1m.",
		set: func(c *Config, v string) *fault {
			return duration(&c.DatabaseConnectTimeout, v, connectMin, connectMax)
		},
	},
	{
		Name: "TENANT_PROVIDER", Shown: "`postgres` when there is a cluster for it, else `sqlite`",
		Doc: "What makes the databases of automatic plans: `postgres`, a database and two roles each on a cluster (see [postgres.md](postgres.md)), or `sqlite`, a file each in DATA_DIR. Operators may choose either for a request they handle.",
		set: func(c *Config, v string) *fault { return oneOf(&c.TenantProvider, v, SQLite, Postgres) },
	},
	{
		Name: "TENANT_DATABASE_URL", Shown: "the cluster of DATABASE_URL, if that is Postgres", secret: true,
		Doc: "The cluster `main`, on which tenants' databases are made: `postgres://user:password@host:5432/postgres` of a role with CREATEDB and CREATEROLE. Customers are told its host and port.",
		set: func(c *Config, v string) *fault { return cluster(c, MainCluster, "TENANT_DATABASE_URL", v) },
	},
	{
		Name: "TENANT_DATABASE_URL_<NAME>", Shown: "none",
		Doc:  "A further cluster, as TENANT_DATABASE_URL; `TENANT_DATABASE_URL_EU_WEST` is named `eu-west`. New tenants are spread over all clusters. A name stays for good: it is part of where each tenant is.",
		each: namedCluster,
	},
	{
		Name: "TENANT_MAX_CONNS", Default: "20",
		Doc: "Most connections that this process opens to each cluster for its work on tenants' databases, 3–1000; beside those of DATABASE_MAX_CONNS. Several hubs add up.",
		set: func(c *Config, v string) *fault { return whole(&c.TenantMaxConns, v, 3, 1000) },
	},
	{
		Name: "TENANT_POOL_SIZE", Default: "2",
		Doc: "How many databases are kept ready for each plan on Postgres, so that a new customer need not wait for one to be made, 0–1000; 0 is off. Each takes 10 MB of disk or more.",
		set: func(c *Config, v string) *fault { return whole(&c.TenantPoolSize, v, 0, 1000) },
	},
}

var secretSettings = []Setting{
	{
		Name: "ENCRYPTION_KEY", ProductionDefault: Required, Shown: "generated once into DATA_DIR/encryption.key, mode 0600", secret: true,
		Doc:         "The key that seals every secret in the database: `base64:…` or `hex:…` (32 bytes; `openssl rand -base64 32` makes one), `passphrase:…` (12 characters or more, stretched by scrypt at start), `file:PATH` (holds one of these forms, readable by its owner only) or `exec:COMMAND ARGS` (prints one of these forms within 10 s; split at spaces, no shell). Keep a copy apart from the database: without it no secret opens.",
		requiredFix: "Make one by `openssl rand -base64 32` and set base64: followed by it; keep a copy apart from the database.",
		set:         setEncryptionKey,
	},
	{
		Name: "PASSWORD_POLICY", Default: PolicyLength,
		Doc: "`length` asks for 15 characters (8 with a second factor), nothing common and none of the user's own words; `complexity` adds upper, lower, digit and special.",
		set: func(c *Config, v string) *fault { return oneOf(&c.PasswordPolicy, v, PolicyLength, PolicyComplexity) },
	},
}

var mailSettings = []Setting{
	{
		Name: "EMAIL_SERVICE", Default: EmailFile, ProductionDefault: Required,
		Doc:         "`file` writes each mail as .eml into DATA_DIR/mail and the log names the file; `smtp` sends by SMTP_URL. Production takes `file` only if it is said.",
		requiredFix: "Set it to smtp (with SMTP_URL and EMAIL_FROM), or to file if mails should stay on this machine.",
		set:         setEmailService,
	},
	{
		Name: "SMTP_URL", Shown: "none", secret: true,
		Doc: "`smtp://user:password@host:587` (STARTTLS) or `smtps://…:465` (TLS from the start). Required when EMAIL_SERVICE is `smtp`.",
		set: setSMTPURL,
	},
	{
		Name: "EMAIL_FROM", Shown: "`KiTS Hub <hub@localhost>` with `file`",
		Doc: "Sender of all mails, `name@example.com` or `Name <name@example.com>`. Required when EMAIL_SERVICE is `smtp`.",
		set: setEmailFrom,
	},
}

var edgeSettings = []Setting{
	{
		Name: "CORS_ALLOWED_ORIGINS", Shown: "none",
		Doc: "Origins of other sites whose pages may call the API, separated by commas: `https://app.example.com`. No wildcard.",
		set: setOrigins,
	},
	{
		Name: "EGRESS_ALLOW_CIDRS", Default: "127.0.0.0/8,::1/128", ProductionDefault: "none",
		Doc: "Addresses or CIDR ranges that users may make the hub connect to though they are none of the public internet, separated by commas: `10.20.0.0/16,fd00:20::/32`. It is about databases that operators bring, not about the hub's own settings. `none` allows no such address; see docs/bring-your-own-database.md.",
		set: setEgress,
	},
	{
		Name: "TRUSTED_PROXIES", Shown: "none",
		Doc: "Addresses or CIDR ranges of your reverse proxies, separated by commas: `10.0.0.0/8,::1`. Checked at the start; nothing goes by a caller's address yet, so no forwarded header counts at all.",
		set: setTrustedProxies,
	},
}

var logSettings = []Setting{
	{
		Name: "LOG_LEVEL", Default: "info",
		Doc: "`debug`, `info`, `warn` or `error`.",
		set: setLogLevel,
	},
	{
		Name: "LOG_FORMAT", Default: LogJSON,
		Doc: "`json`, one object a line, or `text`.",
		set: func(c *Config, v string) *fault { return oneOf(&c.LogFormat, v, LogJSON, LogText) },
	},
	{
		Name: "METRICS_ADDR", Shown: "on LISTEN_ADDR",
		Doc: "`host:port` of an own listener for /metrics, so that it need not be public.",
		set: func(c *Config, v string) *fault { return address(&c.MetricsAddr, v) },
	},
}
