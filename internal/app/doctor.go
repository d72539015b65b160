package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/mail"
	"github.com/kitshub/kitshub/internal/provider"
	"github.com/kitshub/kitshub/internal/provider/pgcluster"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/vault"
)

// Verdict is how one check came out.
type Verdict string

// The verdicts. Only a failed check keeps the hub from its work.
const (
	VerdictOK   Verdict = "ok"
	VerdictWarn Verdict = "warn"
	VerdictFail Verdict = "fail"
)

// Check is one line of an examination. It never shows a setting's value.
type Check struct {
	Status Verdict `json:"status"`
	Check  string  `json:"check"`         // what was looked at
	Detail string  `json:"detail"`        // what is so, one sentence
	Fix    string  `json:"fix,omitempty"` // the next step
	SQL    string  `json:"sql,omitempty"` // what mends it, to be run by an administrator of the server
}

// How long one part may take to answer, and what is little room on a disk.
const (
	examinePart  = 15 * time.Second
	littleRoom   = 1 << 30
	hardlyRoom   = 64 << 20
	oldestServer = 15
)

// examination looks at everything that a hub with these settings needs, and changes nothing.
type examination struct {
	ctx    context.Context
	cfg    *config.Config
	checks []Check
	key    *vault.Key
	vault  *vault.Vault // nil where there is no keyring yet, or it cannot be opened
	store  *store.Store // nil where it cannot be asked
}

// Examine looks whether a hub with this environment could serve: its settings, directory, key, database, catalog, mail, clusters and pool. It
// makes and changes nothing, and works while a hub serves.
func Examine(ctx context.Context, env []string) []Check {
	cfg, err := config.Load(env)
	if err != nil {
		return settingsFaults(err)
	}
	x := &examination{ctx: ctx, cfg: cfg}
	x.ok("settings", fmt.Sprintf("All settings can be used (%s).", cfg.Env))
	x.directory()
	x.keyFile()
	x.database()
	defer func() {
		if x.store != nil {
			_ = x.store.Close() // nothing was written
		}
	}()
	x.keyring()
	x.catalog()
	x.mail()
	x.clusters()
	x.pool()
	x.hubs()
	return x.checks
}

func settingsFaults(err error) []Check {
	var bad *config.Error
	if !errors.As(err, &bad) {
		return []Check{{Status: VerdictFail, Check: "settings", Detail: err.Error(), Fix: "Correct it."}}
	}
	var out []Check
	for _, p := range bad.Problems {
		out = append(out, Check{Status: VerdictFail, Check: "settings: " + p.Variable, Detail: sentence(p.Message), Fix: p.Fix})
	}
	return out
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

func (x *examination) say(v Verdict, check, detail, fix string) {
	x.checks = append(x.checks, Check{Status: v, Check: check, Detail: detail, Fix: fix})
}

func (x *examination) ok(check, detail string)        { x.say(VerdictOK, check, detail, "") }
func (x *examination) warn(check, detail, fix string) { x.say(VerdictWarn, check, detail, fix) }
func (x *examination) fail(check, detail, fix string) { x.say(VerdictFail, check, detail, fix) }

func (x *examination) part() (context.Context, context.CancelFunc) {
	return context.WithTimeout(x.ctx, examinePart)
}

// directory: there or to be made, ours to write, with room.
func (x *examination) directory() {
	const name = "data directory"
	dir := x.cfg.DataDir
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.ok(name, "It is not there yet; the first start makes it.")
		return
	case err != nil:
		x.fail(name, "It cannot be looked at: "+bareCause(err)+".", "Correct DATA_DIR or the rights on it.")
		return
	case !info.IsDir():
		x.fail(name, "DATA_DIR is a file.", "Name a directory.")
		return
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err == nil {
		err = errors.Join(f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		x.fail(name, "It cannot be written to: "+bareCause(err)+".", "Give the hub's user the right to write there, or free some room.")
		return
	}
	room, known := freeSpace(dir)
	switch {
	case known && room < hardlyRoom:
		x.fail(name, fmt.Sprintf("There are %d MiB free.", room>>20), "Free some room.")
	case known && room < littleRoom:
		x.warn(name, fmt.Sprintf("There are %d MiB free.", room>>20), "Free some room before it is full.")
	case info.Mode().Perm()&0o077 != 0:
		x.warn(name, fmt.Sprintf("Others on this machine may look into it (mode %04o); it holds customers' data.", info.Mode().Perm()), "chmod 700 it.")
	default:
		x.ok(name, "It can be written to.")
	}
}

// keyFile reads the key. In development the first start makes one, which is not done here.
func (x *examination) keyFile() {
	const name = "encryption key"
	if keyless(x.cfg) {
		x.ok(name, "None is set, and DATA_DIR has none; a first start makes it.")
		return
	}
	key, err := vault.OpenKey(x.cfg.EncryptionKey.Reveal(), x.cfg.DataDir, x.cfg.IsProduction())
	if err != nil {
		x.fail(name, sentence(err.Error()), "Correct ENCRYPTION_KEY.")
		return
	}
	x.key = &key
	x.ok(name, "It was read from "+key.Source()+".")
}

func (x *examination) database() {
	const name = "hub database"
	if x.cfg.Engine() == config.SQLite {
		if _, err := os.Stat(x.cfg.SQLitePath()); errors.Is(err, fs.ErrNotExist) {
			x.ok(name, "SQLite in DATA_DIR; the first start makes it.")
			return
		}
	}
	ctx, cancel := x.part()
	defer cancel()
	st, err := x.openQuietly(ctx)
	if err != nil {
		x.databaseFault(name, err)
		return
	}
	c, err := st.Examine(ctx)
	if err != nil {
		x.fail(name, "It cannot be asked: "+bareCause(err)+".", "Look at the server's log.")
		_ = st.Close()
		return
	}
	x.store = st
	before := len(x.checks)
	if c.Version > 0 {
		x.server(name, c)
	}
	switch {
	case c.Schema > c.Current:
		x.fail(name, fmt.Sprintf("Its schema is %d, newer than this program's %d.", c.Schema, c.Current), "Run the newer program; going back needs a backup.")
	case c.Schema < c.Current:
		x.warn(name, fmt.Sprintf("Its schema is %d, this program's is %d.", c.Schema, c.Current), "kitshub migrate, or the next start, brings it up to date. Have a backup first.")
	}
	if len(x.checks) == before {
		x.ok(name, fmt.Sprintf("%s answers, with schema %d.", map[bool]string{true: fmt.Sprintf("Postgres %d", c.Version), false: "SQLite"}[c.Version > 0], c.Schema))
	}
	if c.Version > 0 {
		x.connections(c)
	}
	if c.Schema == 0 || c.Schema > c.Current { // nothing in it can be read
		x.store = nil
		_ = st.Close()
	}
}

// openQuietly opens the database once, without the patience of a start.
func (x *examination) openQuietly(ctx context.Context) (*store.Store, error) {
	if x.cfg.Engine() == config.SQLite {
		return store.OpenSQLite(x.cfg.DataDir)
	}
	st, err := store.OpenPostgres(ctx, x.cfg.DatabaseURL.Reveal(), store.Options{MaxConns: 2, ConnectTimeout: examinePart / 3})
	if err != nil {
		return nil, &ConfigError{"DATABASE_URL", "it cannot be used", err}
	}
	if err := st.Ping(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

func (x *examination) databaseFault(name string, err error) {
	var bad *config.Error
	if errors.As(turnedAway(err), &bad) {
		p := bad.Problems[0]
		x.fail(name, sentence(p.Message), p.Fix)
		return
	}
	x.fail(name, "It does not answer: "+bareCause(err)+".", "Start the server, or correct DATABASE_URL.")
}

func (x *examination) server(name string, c store.Condition) {
	if c.Version < oldestServer {
		x.fail(name, fmt.Sprintf("It is Postgres %d.", c.Version), fmt.Sprintf("%d is the oldest that serves; upgrade the server.", oldestServer))
	}
	if !c.MayCreate {
		x.checks = append(x.checks, Check{
			VerdictFail, name, "The hub's role may not make tables there.", "Run the SQL in that database as its owner.",
			fmt.Sprintf("GRANT CREATE, USAGE ON SCHEMA %s TO %s;", c.Namespace, c.Role),
		})
	}
	if c.Super {
		x.warn(name, "The hub's role is a superuser, which is more than the hub needs.", "Give DATABASE_URL a role that owns the hub's database and nothing else.")
	}
}

// connections holds what this hub may open against what the server takes.
func (x *examination) connections(c store.Condition) {
	need := x.cfg.DatabaseMaxConns
	for _, t := range x.cfg.TenantClusters {
		if sameServer(t.URL.Reveal(), x.cfg.DatabaseURL.Reveal()) {
			need += x.cfg.TenantMaxConns
		}
	}
	if need > c.MaxConns {
		x.checks = append(x.checks, Check{
			VerdictWarn, "connections", fmt.Sprintf("This hub alone may open %d connections to the server of DATABASE_URL, which takes %d.", need, c.MaxConns),
			"Lower DATABASE_MAX_CONNS or TENANT_MAX_CONNS, or raise the server's limit and start it again.", fmt.Sprintf("ALTER SYSTEM SET max_connections = %d;", 2*need),
		})
		return
	}
	x.ok("connections", fmt.Sprintf("This hub may open %d connections to the server of DATABASE_URL, which takes %d; %d are open.", need, c.MaxConns, c.Open))
}

// keyring opens what the key protects; a wrong key is found here and not by the first customer.
func (x *examination) keyring() {
	const name = "keyring"
	missing := keyless(x.cfg)
	if x.store == nil || x.key == nil && !missing {
		return
	}
	ctx, cancel := x.part()
	defer cancel()
	record, err := x.store.LoadKeyring(ctx)
	if err == nil && len(record) == 0 {
		x.ok(name, "There is none yet; the first start makes it.")
		return
	}
	if err == nil && missing {
		x.fail(name, "The database was begun with a key, which is neither set nor in DATA_DIR.", "Set ENCRYPTION_KEY to it, or put its "+vault.KeyFile+" back.")
		return
	}
	if err == nil {
		x.vault, err = vault.Open(ctx, *x.key, x.store)
	}
	if err != nil {
		x.fail(name, sentence(err.Error()), "Correct ENCRYPTION_KEY.")
		return
	}
	x.ok(name, "The key opens it.")
}

func (x *examination) catalog() {
	const name = "catalog"
	cat, err := catalog.Open(x.cfg.CatalogDir)
	if err != nil {
		x.fail(name, sentence(err.Error()), "kitshub catalog lint shows each problem.")
		return
	}
	if x.cfg.CatalogDir != "" {
		if broken := catalog.Released(os.DirFS(x.cfg.CatalogDir)); len(broken) > 0 {
			x.warn(name, fmt.Sprintf("%d released file(s) differ from catalog.lock; new tenants would differ from those that exist.", len(broken)), "kitshub catalog lint names them.")
			return
		}
	}
	x.ok(name, fmt.Sprintf("%d plans, %d features, version %s.", len(cat.Plans), len(cat.Features), cat.Version))
}

func (x *examination) mail() {
	const name = "mail"
	o := mail.Options{Service: x.cfg.EmailService, Dir: x.cfg.MailDir(), SMTPURL: x.cfg.SMTPURL.Reveal(), From: x.cfg.EmailFrom, Log: slog.New(slog.DiscardHandler)}
	if _, err := mail.New(o); err != nil {
		x.fail(name, sentence(err.Error()), "Correct EMAIL_SERVICE and what belongs to it.")
		return
	}
	if o.Service == mail.ServiceFile {
		if x.cfg.IsProduction() {
			x.warn(name, "Mails are written to files; no customer gets one.", "Set EMAIL_SERVICE=smtp and SMTP_URL.")
			return
		}
		x.ok(name, "Mails are written to files in DATA_DIR.")
		return
	}
	ctx, cancel := x.part()
	defer cancel()
	if err := mail.Check(ctx, o); err != nil {
		x.fail(name, "The mail server does not let the hub in: "+bareCause(err)+".", "Correct SMTP_URL, or start the server; mails wait and are sent then.")
		return
	}
	x.ok(name, "The mail server lets the hub in.")
}

// clusters examines each as the provider does at work, under the hub's own names where these are known.
func (x *examination) clusters() {
	if len(x.cfg.TenantClusters) == 0 {
		x.ok("tenants", "Customers' databases are SQLite files in DATA_DIR.")
		return
	}
	for _, c := range x.cfg.TenantClusters {
		name := "tenants: " + c.Name
		pc := pgcluster.Config{Name: c.Name, AdminURL: c.URL.Reveal(), MaxConns: x.cfg.TenantMaxConns}
		if x.vault != nil {
			pc.Installation = installation(x.vault, c.Name)
		}
		p, err := pgcluster.New(pc)
		if err != nil { // its words never show the address
			x.fail(name, sentence(err.Error()), "Correct "+c.Variable+".")
			continue
		}
		ctx, cancel := x.part()
		found, err := p.Doctor(ctx)
		cancel()
		_ = p.Close() // nothing was begun
		if err != nil {
			x.fail(name, "It cannot be examined: "+bareCause(err)+".", clusterFix(c.Variable, err))
			continue
		}
		for _, f := range found {
			v, fix := VerdictWarn, "Consider it."
			if f.Problem {
				v, fix = VerdictFail, "It has to be so before customers' databases can be made there."
			}
			if f.SQL != "" {
				fix = "Run the SQL as an administrator of the cluster."
			}
			x.checks = append(x.checks, Check{v, name, f.What, fix, f.SQL})
		}
		if len(found) == 0 {
			x.ok(name, fmt.Sprintf("Databases and roles can be made there, with %d connections at the most.", x.cfg.TenantMaxConns))
		}
	}
}

// clusterFix says what an operator does where the hub is not let in: about the setting, or at the server.
func clusterFix(variable string, err error) string {
	class, code := provider.ClassifyPostgres(err)
	var se *hub.StepError
	if errors.As(err, &se) {
		class, code = se.Class, se.Code
	}
	switch {
	case code == "3D000": // https://www.postgresql.org/docs/current/errcodes-appendix.html
		return "Make that database by createdb, or name another in " + variable + "."
	case code == "28P01":
		return "Correct the password in " + variable + ", or the role's on the server."
	case strings.HasPrefix(code, "28"):
		return "Give the role of " + variable + " the right to log in, there and in the server's pg_hba.conf, or name another."
	case code == "TLS":
		return "Correct sslmode in " + variable + ", or the server's TLS."
	case code == "53300":
		return "Raise max_connections or the role's CONNECTION LIMIT at the server of " + variable + ", or let fewer programs connect."
	case code == "VERSION":
		return "Upgrade the server, or name another in " + variable + "."
	case class == hub.ClassNetwork:
		return "Start the server, or correct host and port in " + variable + "."
	}
	return "Look at " + variable + " and at the server's log."
}

func (x *examination) pool() {
	const name = "pool"
	switch {
	case x.cfg.TenantProvider != config.Postgres:
		return
	case x.cfg.TenantPoolSize == 0:
		x.ok(name, "It is off; each database is made when it is asked for.")
		return
	case x.store == nil:
		x.ok(name, fmt.Sprintf("%d databases a plan are kept ready.", x.cfg.TenantPoolSize))
		return
	}
	ctx, cancel := x.part()
	defer cancel()
	var ready int
	var failing *hub.Failure
	err := x.store.Read(ctx, func(tx hub.Tx) error {
		ready, failing = 0, nil
		members, err := tx.ListMembers(ctx)
		for _, m := range members {
			switch {
			case m.State == hub.MemberReady:
				ready++
			case m.Failure != nil:
				failing = m.Failure
			}
		}
		return err
	})
	switch {
	case err != nil:
		x.warn(name, "It cannot be counted: "+bareCause(err)+".", "Bring the schema up to date: kitshub migrate.")
	case failing != nil:
		x.warn(name, fmt.Sprintf("%d databases are ready; one could not be made (%s): %s", ready, failing.Class, failing.Cause), failing.Action)
	default:
		x.ok(name, fmt.Sprintf("%d databases are ready; %d a plan are kept.", ready, x.cfg.TenantPoolSize))
	}
}

// hubs says who serves on the same database.
func (x *examination) hubs() {
	const name = "serving"
	if x.store == nil {
		return
	}
	ctx, cancel := x.part()
	defer cancel()
	var n int
	err := x.store.Read(ctx, func(tx hub.Tx) error {
		live, err := tx.LiveInstances(ctx, tx.Now().Add(-5*hub.BeatEvery))
		n = len(live)
		return err
	})
	if err != nil {
		x.warn(name, "Who serves cannot be told: "+bareCause(err)+".", "Bring the schema up to date: kitshub migrate.")
		return
	}
	x.ok(name, fmt.Sprintf("%d hub(s) serve on this database right now.", n))
}

// bareCause is what went wrong without the address it went wrong at, in one line.
func bareCause(err error) string {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err.Error()
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return strings.TrimSuffix(strings.Join(strings.Fields(err.Error()), " "), ".")
}

// sameServer compares two addresses by host and port.
func sameServer(a, b string) bool {
	x, err := pgconn.ParseConfig(a)
	if err != nil {
		return false
	}
	y, err := pgconn.ParseConfig(b)
	return err == nil && x.Host == y.Host && x.Port == y.Port
}
