// Package app wires the hub together: from a configuration to a running process. It alone imports everything; it decides nothing else.
//
// Core is what every command that touches the hub's data needs (its database, vault, catalog and use cases); App is a serving hub around it.
package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/auth"
	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/events"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/jobs"
	"github.com/kitshub/kitshub/internal/mail"
	"github.com/kitshub/kitshub/internal/obs"
	"github.com/kitshub/kitshub/internal/provider"
	"github.com/kitshub/kitshub/internal/provider/external"
	"github.com/kitshub/kitshub/internal/provider/pgcluster"
	"github.com/kitshub/kitshub/internal/provider/sqlitefile"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/tenantdb"
	"github.com/kitshub/kitshub/internal/vault"
)

// Core has the hub's data and use cases. Close it.
type Core struct {
	Config  *config.Config
	Log     *slog.Logger
	Store   *store.Store
	Service *hub.Service
	Jobs    *jobs.Client
	Metrics *obs.Metrics

	Clusters *pgcluster.Clusters // nil: no tenants on Postgres
	events   *events.Bus
}

// connectWithin is how long a start waits for a Postgres that is not up yet.
const connectWithin = 10 * time.Second

// OpenCore opens the hub's database (making or updating its schema), its keys and its catalog. It starts nothing, so it works while another
// process serves on the same data.
//
// Errors: *ConfigError for what only a change of the configuration mends.
func OpenCore(ctx context.Context, cfg *config.Config, log *slog.Logger) (c *Core, err error) {
	if err := makeDataDir(cfg); err != nil {
		return nil, err
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	home, err := homeID(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	instance := hub.NewID("ins_", time.Now())
	c = &Core{Config: cfg, Log: log, Store: st, events: events.New()}
	jo := jobs.Options{Workers: cfg.Workers, Instance: instance, Log: log, Alive: func(ctx context.Context) ([]string, error) { return c.Service.Alive(ctx) }}
	if jo.Postgres = st.Pool(); jo.Postgres == nil {
		jo.SQLite = st.WriterDB()
	}
	if c.Jobs, err = jobs.New(jo); err != nil {
		return nil, err
	}
	if err := st.Migrate(ctx, c.Jobs.Migrate); err != nil {
		return nil, fmt.Errorf("bringing the hub's database up to date: %w", err)
	}
	deps, err := c.deps(ctx, instance, home)
	if err != nil {
		return nil, err
	}
	c.Service = hub.New(deps)
	c.Jobs.SetHandler(c.Service)
	return c, nil
}

func makeDataDir(cfg *config.Config) error {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return &ConfigError{"DATA_DIR", "the directory cannot be made or used", err}
	}
	return nil
}

func openStore(ctx context.Context, cfg *config.Config) (*store.Store, error) {
	if cfg.Engine() == config.SQLite {
		return store.OpenSQLite(cfg.DataDir)
	}
	st, err := store.OpenPostgres(ctx, cfg.DatabaseURL.Reveal(), store.Options{
		MaxConns: cfg.DatabaseMaxConns, IdleTimeout: cfg.DatabaseIdleTimeout, ConnectTimeout: cfg.DatabaseConnectTimeout,
	})
	if err != nil {
		return nil, &ConfigError{"DATABASE_URL", "it cannot be used", err}
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	for {
		err := st.Ping(ctx)
		if err == nil {
			return st, nil
		}
		if bad := turnedAway(err); bad != nil {
			return nil, errors.Join(bad, st.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(noDatabase(err), st.Close())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// turnedAway tells what a Postgres that answers has against DATABASE_URL; nil where waiting may help. The server's own words name user and
// database, which are parts of the setting, so they are not repeated.
func turnedAway(err error) error {
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		err = connect // with its own words, by which some trouble with TLS is known
	}
	p := config.Problem{Variable: "DATABASE_URL"}
	switch _, code := provider.ClassifyPostgres(err); {
	case code == "TLS":
		p.Message, p.Fix = "there is no TLS as its sslmode asks for: "+provider.TLSTrouble(err), "Correct the server's TLS, or sslmode."
	case code == "3D000": // https://www.postgresql.org/docs/current/errcodes-appendix.html
		p.Message, p.Fix = "the server has no such database", "Make it by createdb, or correct the name."
	case strings.HasPrefix(code, "28"):
		p.Message, p.Fix = "the server does not let this user in", "Correct user and password, or the server's pg_hba.conf."
	default:
		return nil
	}
	return &config.Error{Problems: []config.Problem{p}}
}

// noDatabase is no ConfigError: the address may be right and the server only late, so it is worth starting again.
func noDatabase(cause error) error {
	return &hub.Error{Code: hub.CodeUnavailable, Message: "The database of DATABASE_URL does not answer.", Fix: "Start it, or correct the address.", Cause: cause}
}

func (c *Core) deps(ctx context.Context, instance, home string) (hub.Deps, error) {
	cfg := c.Config
	if keyless(cfg) { // one is made for a database that is not begun; for another none that is made can be the right one
		record, err := c.Store.LoadKeyring(ctx)
		if err != nil {
			return hub.Deps{}, err
		}
		if len(record) > 0 {
			return hub.Deps{}, &ConfigError{"ENCRYPTION_KEY", "it is missing", errKeyMissing}
		}
	}
	key, err := vault.OpenKey(cfg.EncryptionKey.Reveal(), cfg.DataDir, cfg.IsProduction())
	if err != nil {
		return hub.Deps{}, &ConfigError{"ENCRYPTION_KEY", "it cannot be used", err}
	}
	v, err := vault.Open(ctx, key, c.Store)
	if err != nil {
		if errors.Is(err, vault.ErrWrongKey) {
			return hub.Deps{}, &ConfigError{"ENCRYPTION_KEY", "it does not open this database", err}
		}
		return hub.Deps{}, err
	}
	cats, err := openCatalogs(cfg.CatalogDir)
	if err != nil {
		return hub.Deps{}, &ConfigError{"CATALOG_DIR", "the catalog cannot be used", err}
	}
	if cfg.CatalogDir != "" {
		for _, f := range catalog.Released(os.DirFS(cfg.CatalogDir)) { // new tenants would differ from those that exist
			c.Log.WarnContext(ctx, "the catalog breaks its lock; kitshub catalog lint says more", "file", f.File, "line", f.Line, "rule", f.Rule, "problem", f.Message)
		}
	}
	files, err := sqlitefile.New(sqlitefile.Config{Dir: filepath.Join(cfg.DataDir, "tenants")})
	if err != nil {
		return hub.Deps{}, err
	}
	wayOut := egress.New(egress.Options{Allow: cfg.EgressAllowed})
	providers := map[string]hub.Provider{
		files.Name(): files, external.NameManual: external.NewManual(wayOut, c.Log), external.NameSupabase: external.NewSupabase(wayOut, c.Log),
	}
	if c.Clusters, err = openClusters(cfg, v, c.Log); err != nil {
		return hub.Deps{}, err
	}
	if c.Clusters != nil {
		if err := c.closeDoor(ctx); err != nil {
			return hub.Deps{}, err
		}
		providers[c.Clusters.Name()] = c.Clusters
	}
	mailer, err := mail.New(mail.Options{Service: cfg.EmailService, Dir: cfg.MailDir(), SMTPURL: cfg.SMTPURL.Reveal(), From: cfg.EmailFrom, Log: c.Log})
	if err != nil {
		return hub.Deps{}, &ConfigError{"EMAIL_SERVICE", "mails cannot be set up", err}
	}
	c.Metrics = obs.NewMetrics(planIDs(cats.Current()))
	return hub.Deps{
		Store: c.Store, Jobs: c.Jobs, Catalogs: cats, Providers: providers, Default: cfg.TenantProvider,
		TenantDB: tenantdb.New(catalog.Split), Vault: v, Tokens: tokens{}, Passwords: newPasswords(cfg), Events: c.events, Meter: c.Metrics,
		Mailer: mailer, Log: c.Log, PublicURL: cfg.PublicURL, Instance: instance, Home: home, Workers: cfg.Workers,
		Hours: cfg.WorkingHours, Aging: cfg.QueueAging, PoolSize: cfg.TenantPoolSize,
	}, nil
}

// keyless reports that the start would make a key: none is set, and DATA_DIR has none.
func keyless(cfg *config.Config) bool {
	if cfg.EncryptionKey.Reveal() != "" || cfg.IsProduction() {
		return false
	}
	_, err := os.Lstat(filepath.Join(cfg.DataDir, vault.KeyFile))
	return errors.Is(err, fs.ErrNotExist)
}

var errKeyMissing = fmt.Errorf("%w: none is set, and DATA_DIR has no %s. Set the key this database was begun with, or restore its %[2]s; nothing was changed",
	vault.ErrWrongKey, vault.KeyFile)

// Close ends the connections, those to tenants' clusters first: nothing is begun on them any more that the hub's database does not know.
func (c *Core) Close() error {
	var err error
	if c.Clusters != nil {
		err = c.Clusters.Close()
	}
	return errors.Join(err, c.Store.Close())
}

// ConfigError is a fault that only a change of the configuration mends; the process ends with config.ExitCode. It never shows the value.
type ConfigError struct {
	Variable string
	Problem  string
	Cause    error
}

// Error names the variable first.
func (e *ConfigError) Error() string {
	if cause := e.Cause.Error(); strings.HasPrefix(cause, e.Variable+": ") { // the vault names it already, with the next step
		return cause
	}
	return fmt.Sprintf("%s: %s: %v", e.Variable, e.Problem, e.Cause)
}

// Unwrap gives the cause.
func (e *ConfigError) Unwrap() error { return e.Cause }

// homeID names the data directory, once for all: a hub that holds its lock proves that no former hub of it is alive.
func homeID(dir string) (string, error) {
	path := filepath.Join(dir, "home-id")
	b, err := os.ReadFile(path) //nolint:gosec // a fixed name in DATA_DIR
	if err == nil && strings.TrimSpace(string(b)) != "" {
		return strings.TrimSpace(string(b)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var r [16]byte
	if _, err := rand.Read(r[:]); err != nil {
		return "", err
	}
	id := hex.EncodeToString(r[:])
	tmp := path + "." + id
	if err := os.WriteFile(tmp, []byte(id+"\n"), 0o600); err != nil {
		return "", err
	}
	lerr := os.Link(tmp, path) // unlike a rename it never replaces: of two at once, one is first and counts
	if err := os.Remove(tmp); err != nil {
		return "", err
	}
	if lerr == nil {
		return id, nil
	}
	if !errors.Is(lerr, fs.ErrExist) {
		return "", lerr
	}
	b, err = os.ReadFile(path) //nolint:gosec // a fixed name in DATA_DIR
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = fmt.Errorf("%s is empty; remove it and start again", path)
	}
	return strings.TrimSpace(string(b)), err
}

// catalogs holds the catalog in force and reads it again when asked.
type catalogs struct {
	dir string
	mu  sync.RWMutex
	now *hub.Catalog
}

func openCatalogs(dir string) (*catalogs, error) {
	c := &catalogs{dir: dir}
	return c, c.Reload(context.Background())
}

// Current implements hub.Catalogs.
func (c *catalogs) Current() *hub.Catalog {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.now
}

// Reload implements hub.Catalogs.
func (c *catalogs) Reload(context.Context) error {
	now, err := catalog.Open(c.dir)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
	return nil
}

func planIDs(c *hub.Catalog) []string {
	ids := make([]string, len(c.Plans))
	for i, p := range c.Plans {
		ids[i] = p.ID
	}
	return ids
}

// tokens gives the domain auth's tokens.
type tokens struct{}

func (tokens) New(prefix string) (string, []byte) { return auth.NewToken(prefix) }
func (tokens) Hash(token string) []byte           { return auth.HashToken(token) }

// passwords gives the domain auth's hasher and policy.
type passwords struct {
	hasher *auth.Hasher
	policy string
}

// hashAtOnce bounds the memory that logins can take: 64 MiB each.
const hashAtOnce = 2

func newPasswords(cfg *config.Config) passwords {
	return passwords{auth.NewHasher(hashAtOnce), cfg.PasswordPolicy}
}

func (p passwords) Hash(_ context.Context, password string) (string, error) {
	return p.hasher.Hash(password)
}

func (p passwords) Verify(_ context.Context, password, encoded string) (ok, rehash bool, err error) {
	return p.hasher.Verify(password, encoded)
}

func (p passwords) Burn(_ context.Context, password string) error {
	return p.hasher.DummyVerify(password)
}

func (p passwords) Check(password string, identity ...string) *hub.Error {
	return auth.CheckPassword(p.policy, password, identity...)
}
