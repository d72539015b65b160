package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// Name is how backends of this provider are marked.
const Name = "postgres"

// What is used where Config says 0.
const (
	DefaultMaxConns     = 20
	DefaultTenantConns  = 20
	DefaultMaxTemplates = 32
)

// parallelClones is how many databases one hub makes at a time: more than four at once are slower together (promises.md, measured).
const parallelClones = 4

// refillClones is how many of them may be for the pool, so that a customer finds a place.
const refillClones = parallelClones - 1

// Config describes one cluster.
type Config struct {
	Name          string // of the cluster, part of every place: lower case letters, digits and -; empty: "main"
	AdminURL      string // postgres:// of a role with CREATEDB and CREATEROLE, better no superuser; to the server itself, not to a pooler that shares sessions
	MaintenanceDB string // where the hub's own connections go and its locks live, the same for all hubs; empty: the one of AdminURL
	Installation  string // tells hubs with separate data apart that share the cluster; all hubs of one database say the same. May be empty
	CustomerHost  string // host:port that customers are told; empty: that of AdminURL

	MaxConns     int // connections that this process may have open to the cluster, for all purposes together, at least 3; 0: DefaultMaxConns
	TenantConns  int // connections that one customer's program may have; 0: DefaultTenantConns
	MaxTemplates int // templates kept, at least 1; 0: DefaultMaxTemplates

	Log *slog.Logger // nil: silence
}

// Provider makes databases on one cluster. It may be used by any number of goroutines, and by several processes on the same cluster. Close it.
type Provider struct {
	name, customer string
	names          names
	maxTemplates   int
	tenantConns    int
	adminConfig    *pgx.ConnConfig
	sslmode        string
	log            *slog.Logger

	budget  *budget
	idle    idleAdmins
	opened  openDBs
	leaving leavers
	clones  chan struct{} // full while as many are made as may be
	refills chan struct{} // the same of those for the pool

	away      atomic.Bool   // the last attempt to connect as the hub failed
	ready     atomic.Bool   // the roles that all databases share are there
	readying  chan struct{} // full while somebody makes them
	building  chan struct{} // full while a template is built: a build holds two connections, so two builds could wait for each other
	templates sync.Map      // template name → time of the last use that was noted
	broken    sync.Map      // key of a template → time at which it could not be built

	now  func() time.Time
	kill func(context.Context) error // tests only; see admin.step
}

var (
	_ hub.Provider  = (*Provider)(nil)
	_ hub.Addresser = (*Provider)(nil)
)

// New checks the configuration and connects to nothing; Ping and Doctor do.
func New(c Config) (*Provider, error) {
	if c.Name == "" {
		c.Name = "main"
	}
	if !plainName.MatchString(c.Name) || (c.Installation != "" && !plainName.MatchString(c.Installation)) {
		return nil, fmt.Errorf("the cluster is named %.40q and the installation %.40q; a name is a letter, then up to 30 letters, digits and -, lower case", c.Name, c.Installation)
	}
	for _, n := range []struct {
		at    *int
		unset int
		least int
		what  string
	}{
		{&c.MaxConns, DefaultMaxConns, minBudget, "MaxConns"},
		{&c.TenantConns, DefaultTenantConns, 1, "TenantConns"},
		{&c.MaxTemplates, DefaultMaxTemplates, 1, "MaxTemplates"},
	} {
		if *n.at == 0 {
			*n.at = n.unset
		}
		if *n.at < n.least {
			return nil, fmt.Errorf("cluster %s: %s is %d; it must be 0 (for %d) or at least %d", c.Name, n.what, *n.at, n.unset, n.least)
		}
	}
	cfg, sslmode, err := adminConfig(c)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.Name, err)
	}
	if c.CustomerHost == "" {
		c.CustomerHost = net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{
		name: c.Name, customer: c.CustomerHost, names: newNames(c.Installation), maxTemplates: c.MaxTemplates, tenantConns: c.TenantConns,
		adminConfig: cfg, sslmode: sslmode, log: c.Log.With("cluster", c.Name), budget: newBudget(c.MaxConns),
		clones: make(chan struct{}, parallelClones), refills: make(chan struct{}, refillClones), readying: make(chan struct{}, 1), building: make(chan struct{}, 1), now: time.Now,
	}
	p.budget.shed = func(all bool, of Purpose) {
		if all {
			p.shedIdle() // these are in nobody's hands and count for no purpose
		}
		p.opened.shed(all, of)
	}
	return p, nil
}

// adminConfig reads the address of the cluster. Its errors never show the address, which holds a password.
func adminConfig(c Config) (*pgx.ConnConfig, string, error) {
	u, err := url.Parse(c.AdminURL)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") || u.Host == "" {
		return nil, "", errors.New("the address has to be a postgres:// URL with a host")
	}
	cfg, err := pgx.ParseConfig(c.AdminURL)
	if err != nil {
		return nil, "", scrubbed(err)
	}
	if c.MaintenanceDB != "" {
		cfg.Database = c.MaintenanceDB
	}
	if cfg.Database == "" {
		cfg.Database = "postgres"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = dialTimeout
	}
	cfg.DialFunc = provider.Vigil{Dial: cfg.DialFunc}.DialContext // pgx's own knows keep-alives
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec              // one round trip a query, and nothing a pooler in between could lose
	cfg.RuntimeParams["application_name"] = "kitshub"
	cfg.RuntimeParams["lock_timeout"] = strconv.FormatInt(provider.LockTimeout.Milliseconds(), 10)
	// A hub whose machine is gone would otherwise hold its lock for the two hours after which a server asks.
	cfg.RuntimeParams["tcp_keepalives_idle"] = "20"
	cfg.RuntimeParams["tcp_keepalives_interval"] = "5"
	cfg.RuntimeParams["tcp_keepalives_count"] = "3"
	sslmode := u.Query().Get("sslmode")
	if sslmode == "" {
		sslmode = "prefer"
	}
	return cfg, sslmode, nil
}

// Name is "postgres".
func (*Provider) Name() string { return Name }

// Cluster is the name of the cluster, the first part of every place.
func (p *Provider) Cluster() string { return p.name }

// Dialect is Postgres.
func (*Provider) Dialect() hub.Dialect { return hub.Postgres }

// Close closes the connections that nobody uses; those of databases still open end with these.
func (p *Provider) Close() error {
	p.idle.mu.Lock()
	p.idle.closed = true
	p.idle.mu.Unlock()
	p.shedIdle()
	p.leaving.wait()
	return nil
}

// Ping asks the cluster whether it is there.
func (p *Provider) Ping(ctx context.Context) error {
	ctx = For(ctx, Look)
	return p.with(ctx, "asking cluster "+p.name, func(a *admin) error { return a.conn.Ping(ctx) })
}

// Plan chooses names and draws passwords. The place is given by tenant and generation; the passwords are new with each call, so the plan is
// written down (sealed) before Create, and Create makes it true. An id that begins with MemberPrefix plans a member of the pool.
func (p *Provider) Plan(_ context.Context, tenantID string, generation int64) (hub.Backend, hub.Credentials, error) {
	if !plainID.MatchString(tenantID) || generation < 1 {
		return hub.Backend{}, hub.Credentials{}, &hub.StepError{
			Class: hub.ClassBug, Err: fmt.Errorf("tenant %.100q, generation %d cannot name a database", tenantID, generation),
		}
	}
	db := p.names.database(tenantID, generation)
	runtime, owner := newPassword(), newPassword()
	return hub.Backend{TenantID: tenantID, Generation: generation, Provider: Name, Place: p.place(db)},
		p.credentials(tenantID, db, runtime, owner), nil
}

// Addressed implements hub.Addresser: host, port and TLS are those of the cluster as it is set up now.
func (p *Provider) Addressed(b hub.Backend, c hub.Credentials) (hub.Credentials, error) {
	name, _, err := p.database(b)
	if err != nil {
		return hub.Credentials{}, err
	}
	runtime, owner, err := passwords(c, name)
	if err != nil {
		return hub.Credentials{}, err
	}
	return p.credentials(b.TenantID, name, runtime, owner), nil
}

func (p *Provider) credentials(tenantID, db, runtime, owner string) hub.Credentials {
	address := func(role, password string) string {
		u := url.URL{
			Scheme: "postgres", User: url.UserPassword(role, password), Host: p.customer, Path: "/" + db,
			RawQuery: url.Values{"sslmode": {p.sslmode}}.Encode(),
		}
		return u.String()
	}
	c := hub.Credentials{URL: address(db+runtimeSuffix, runtime), AdminURL: address(db+ownerSuffix, owner)}
	host, port, err := net.SplitHostPort(p.customer)
	if err != nil {
		host, port = p.customer, "5432"
	}
	c.Env = map[string]string{
		"DATABASE_URL": c.URL, "KITSHUB_TENANT": tenantID, "PGHOST": host, "PGPORT": port, "PGDATABASE": db,
		"PGUSER": db + runtimeSuffix, "PGPASSWORD": runtime, "PGSSLMODE": p.sslmode,
	}
	return c
}

// passwords reads them back and refuses credentials that are another database's.
func passwords(c hub.Credentials, db string) (runtime, owner string, err error) {
	read := func(address, suffix string) (string, error) {
		u, err := url.Parse(address)
		if err != nil || u.User == nil || u.User.Username() != db+suffix || u.Path != "/"+db {
			return "", &hub.StepError{Class: hub.ClassData, Err: errors.New(
				"the stored credentials are not those of the place they are stored with; nothing was touched: find out which of the two is wrong before retrying")}
		}
		password, _ := u.User.Password()
		return password, nil
	}
	if runtime, err = read(c.URL, runtimeSuffix); err != nil {
		return "", "", err
	}
	owner, err = read(c.AdminURL, ownerSuffix)
	return runtime, owner, err
}
