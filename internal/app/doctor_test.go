package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/config"
	"github.com/kitshub/kitshub/internal/store"
	"github.com/kitshub/kitshub/internal/testkit"
	"github.com/kitshub/kitshub/internal/testkit/pgserver"
	"github.com/kitshub/kitshub/internal/vault"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// TestDoctorSaysWhatGrants: a role that may not make databases and roles is told with the SQL that mends it, and that very SQL does.
func TestDoctorSaysWhatGrants(t *testing.T) {
	super := testkit.ServerURL(t)
	db, err := pgserver.CreateDatabase(t.Context(), super, "")
	if err != nil {
		t.Fatal(err)
	}
	role, password := "kd_"+strings.ToLower(rand.Text()[:12]), "Canary"+rand.Text()
	run := func(address, sql string) {
		t.Helper()
		conn, err := pgx.Connect(context.Background(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	run(super, `CREATE ROLE `+role+` LOGIN PASSWORD '`+password+`'`)
	t.Cleanup(func() {
		if err := db.Drop(context.Background()); err != nil {
			t.Error(err)
		}
		run(super, `DROP ROLE `+role)
	})
	u, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, password)
	env := []string{"DATA_DIR=" + t.TempDir(), "DATABASE_URL=" + u.String()}

	first := examined(t, env, password)
	var mends []string
	for _, c := range first {
		if c.Status == VerdictFail {
			if c.SQL == "" {
				t.Errorf("it fails without the SQL: %+v", c)
			}
			mends = append(mends, c.SQL)
		}
	}
	for _, want := range []string{"CREATEDB", "CREATEROLE", "GRANT CREATE, USAGE ON SCHEMA public"} {
		if !slices.ContainsFunc(mends, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("no SQL has %s: %q", want, mends)
		}
	}
	for _, sql := range mends {
		run(db.URL, sql)
	}
	for _, c := range examined(t, env, password) {
		if c.Status == VerdictFail {
			t.Errorf("after the SQL: %+v", c)
		}
	}
	st, err := store.OpenPostgres(t.Context(), u.String(), store.Options{MaxConns: 2, ConnectTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(st.Migrate(t.Context()), st.Close()); err != nil {
		t.Fatal(err)
	}
	if said := examined(t, env, password); !slices.ContainsFunc(said, func(c Check) bool { return c.Check == "hub database" && c.Status == VerdictOK }) {
		t.Errorf("nothing is said of a database that is well: %+v", said)
	}

	u.User = url.UserPassword(role, password+"x")
	n := 0
	for _, c := range examined(t, []string{"DATA_DIR=" + t.TempDir(), "DATABASE_URL=" + u.String()}, password) {
		if c.Status == VerdictFail {
			n++
		}
	}
	if n != 2 { // the hub's database and the cluster
		t.Errorf("with a wrong password %d checks fail", n)
	}
}

// examined gives the checks, and fails if they show a secret or say too little.
func examined(t *testing.T, env []string, secrets ...string) []Check {
	t.Helper()
	all := Examine(t.Context(), env)
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		if strings.Contains(string(text), s) {
			t.Errorf("it shows a secret: %s", text)
		}
	}
	for _, c := range all {
		if c.Check == "" || c.Detail == "" || (c.Status == VerdictFail && c.Fix == "") {
			t.Errorf("%+v", c)
		}
	}
	return all
}

func found(all []Check, name string) (c Check) {
	for _, c = range all {
		if c.Check == name {
			return c
		}
	}
	return Check{}
}

// TestDoctorSaysWhatToDoAboutACluster: about the setting and the server, since nobody has a request to retry.
func TestDoctorSaysWhatToDoAboutACluster(t *testing.T) {
	t.Parallel()
	change := func(f func(u *url.URL)) string {
		u, err := url.Parse(testkit.ServerURL(t))
		if err != nil {
			t.Fatal(err)
		}
		f(u)
		return u.String()
	}
	for _, c := range []struct{ address, fix string }{
		{change(func(u *url.URL) { u.Path = "/nowhere" }), "createdb"},
		{change(func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "Canary") }), "password"},
		{change(func(u *url.URL) { u.Host = "127.0.0.1:1" }), "Start the server"},
		{change(func(u *url.URL) { u.RawQuery = "sslmode=require" }), "sslmode"},
	} {
		got := found(examined(t, []string{"DATA_DIR=" + t.TempDir(), "TENANT_PROVIDER=postgres", "TENANT_DATABASE_URL=" + c.address}, "Canary"), "tenants: main")
		if got.Status != VerdictFail || !strings.Contains(got.Fix, c.fix) || !strings.Contains(got.Fix, "TENANT_DATABASE_URL") {
			t.Errorf("%+v, want %q", got, c.fix)
		}
		if fix := strings.ToLower(got.Fix); strings.Contains(fix, "retry") || strings.Contains(fix, "request") {
			t.Errorf("it speaks of a request: %q", got.Fix)
		}
	}
}

// TestDoctorMissesTheKeyOfABegunDatabase: a start would not make another one, and leaves nothing behind.
func TestDoctorMissesTheKeyOfABegunDatabase(t *testing.T) {
	dir := t.TempDir()
	env := []string{"DATA_DIR=" + dir}
	cfg, err := config.Load(env)
	if err != nil {
		t.Fatal(err)
	}
	core, err := OpenCore(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := core.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, vault.KeyFile)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	var bad *ConfigError
	if _, err := OpenCore(t.Context(), cfg, slog.New(slog.DiscardHandler)); !errors.As(err, &bad) || !errors.Is(err, vault.ErrWrongKey) {
		t.Errorf("a start without the key: %v", err)
	}
	if c := found(examined(t, env), "keyring"); c.Status != VerdictFail || !strings.Contains(c.Fix, vault.KeyFile) {
		t.Errorf("%+v", c)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("a key was made: %v", err)
	}
}

// TestDoctorOnSQLite: before the first start, with a directory that is none, with a key that does not fit, with a newer schema, without mail.
func TestDoctorOnSQLite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	env := func(more ...string) []string { return append([]string{"DATA_DIR=" + dir}, more...) }
	for _, c := range examined(t, env()) {
		if c.Status != VerdictOK {
			t.Errorf("%+v", c)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("it made the directory: %v", err)
	}
	cfg, err := config.Load(env())
	if err != nil {
		t.Fatal(err)
	}
	core, err := OpenCore(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	want := func(check string, v Verdict, part string, env []string) {
		t.Helper()
		if c := found(examined(t, env, "correct horse"), check); c.Status != v || !strings.Contains(c.Detail, part) {
			t.Errorf("%s: %+v, want %s and %q", check, c, v, part)
		}
	}
	want("hub database", VerdictOK, "schema", env())
	want("keyring", VerdictOK, "opens", env())
	want("keyring", VerdictFail, "ENCRYPTION_KEY", env("ENCRYPTION_KEY=passphrase:correct horse battery staple"))
	want("mail", VerdictFail, "refused", env("EMAIL_SERVICE=smtp", "SMTP_URL=smtp://u:correct%20horse@127.0.0.1:1", "EMAIL_FROM=a@example.com"))
	want("catalog", VerdictFail, "", env("CATALOG_DIR="+t.TempDir()))
	if _, err := core.Store.WriterDB().ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`); err != nil {
		t.Fatal(err)
	}
	want("hub database", VerdictFail, "newer", env())
	if err := core.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want("settings: DATA_DIR", VerdictFail, "", []string{"DATA_DIR=" + file})
	want("settings: LOG_LEVEL", VerdictFail, "", env("LOG_LEVEL=loud"))
}
