package config

import (
	"slices"
	"strings"
)

// defaultFrom is the sender while mails stay on the machine.
const defaultFrom = "KiTS Hub <hub@localhost>"

// A check looks at several settings together. given tells which were set, failed which have a problem already (their
// fields hold nothing then). It also computes the defaults that follow from other settings.
type check func(c *Config, given map[string]bool, failed func(string) bool) (variable string, f *fault)

var checks = []check{checkPublicURL, checkSMTP, checkFrom, checkMetrics, checkTenants}

func checkPublicURL(c *Config, given map[string]bool, failed func(string) bool) (string, *fault) {
	const name = "PUBLIC_URL"
	if given[name] || failed(name) {
		if c.IsProduction() && strings.HasPrefix(c.PublicURL, "http://") {
			return name, &fault{"production takes https only", "Begin it with https://; a reverse proxy may end TLS in front of the hub."}
		}
		return "", nil
	}
	c.PublicURL, c.PublicURLDerived = URLFor(c.ListenAddr), true
	return "", nil
}

func checkSMTP(c *Config, given map[string]bool, _ func(string) bool) (string, *fault) {
	if c.EmailService == EmailSMTP && !given["SMTP_URL"] {
		return "SMTP_URL", &fault{"it is required when EMAIL_SERVICE is smtp", "Write smtp://user:password@host:587 or smtps://user:password@host:465."}
	}
	return "", nil
}

func checkFrom(c *Config, given map[string]bool, _ func(string) bool) (string, *fault) {
	if given["EMAIL_FROM"] {
		return "", nil
	}
	if c.EmailService == EmailSMTP {
		return "EMAIL_FROM", &fault{"it is required when EMAIL_SERVICE is smtp", "Write the sender as Name <name@example.com>."}
	}
	c.EmailFrom = defaultFrom
	return "", nil
}

func checkMetrics(c *Config, _ map[string]bool, _ func(string) bool) (string, *fault) {
	if c.MetricsAddr != "" && c.MetricsAddr == c.ListenAddr && !strings.HasSuffix(c.MetricsAddr, ":0") {
		return "METRICS_ADDR", &fault{"it is the same as LISTEN_ADDR", "Leave it out to have /metrics there, or give it an address of its own."}
	}
	return "", nil
}

// checkTenants finds the clusters that follow from other settings, and what makes tenants' databases if nobody said so.
func checkTenants(c *Config, given map[string]bool, failed func(string) bool) (string, *fault) {
	const main = "TENANT_DATABASE_URL"
	if !given[main] && c.DatabaseURL != "" {
		if f := cluster(c, MainCluster, "DATABASE_URL", c.DatabaseURL.Reveal()); f == nil {
			last := len(c.TenantClusters) - 1
			c.TenantClusters = slices.Insert(c.TenantClusters[:last], 0, c.TenantClusters[last])
		} else if c.TenantProvider != SQLite && len(c.TenantClusters) == 0 {
			return main, &fault{
				"it is needed, since DATABASE_URL does not name one host, which customers' programs need",
				"Set it to postgres://user:password@host:5432/postgres, or TENANT_PROVIDER to sqlite.",
			}
		}
	}
	if c.TenantProvider == "" && !failed("TENANT_PROVIDER") {
		c.TenantProvider = SQLite
		if len(c.TenantClusters) > 0 {
			c.TenantProvider = Postgres
		}
	}
	wrong := failed("DATABASE_URL") || failed(main) || failed("TENANT_DATABASE_URL_<NAME>") // then that is the problem
	if c.TenantProvider == Postgres && len(c.TenantClusters) == 0 && !wrong {
		return "TENANT_PROVIDER", &fault{"there is no cluster to make databases on", "Set TENANT_DATABASE_URL, or a DATABASE_URL of Postgres."}
	}
	return "", nil
}
