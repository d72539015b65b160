//go:build unix

package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Home is a database for a hub with a role that owns it and may make databases and roles, as a hub on Postgres needs, and no more.
type Home struct {
	URL   string // of the database, with the role's login
	Super string // of the same with the superuser's
	Name  string // of the database and of the role

	server string
}

// CreateHome makes one with a random name.
func CreateHome(ctx context.Context, serverURL string) (*Home, error) {
	h := &Home{Name: testPrefix + strconv.FormatInt(time.Now().Unix(), 36) + "_" + strings.ToLower(rand.Text()[:12]), server: serverURL}
	u, err := url.Parse(serverURL)
	if err != nil {
		return nil, errors.New("the server's address has to be a postgres:// URL") // it holds a password: not shown
	}
	u.Path = "/" + h.Name
	h.Super = u.String()
	password := rand.Text()
	u.User = url.UserPassword(h.Name, password)
	h.URL = u.String()
	for _, q := range []string{
		`CREATE ROLE ` + quote(h.Name) + ` LOGIN CREATEDB CREATEROLE PASSWORD '` + password + `'`,
		`CREATE DATABASE ` + quote(h.Name) + ` OWNER ` + quote(h.Name) + ` TEMPLATE template0`,
	} {
		if err := execute(ctx, serverURL, q); err != nil {
			return nil, errors.Join(fmt.Errorf("make a home for a hub: %w", err), h.Drop(ctx))
		}
	}
	return h, nil
}

// groupOfTenants is the role that all databases of a hub's tenants share, to which its own belongs; what is before it begins all names there.
var groupOfTenants = regexp.MustCompile(`^(kh[a-z2-7]*_)owner$`)

// Drop removes the database and the role with every database that the role has made, and the roles that go with these.
func (h *Home) Drop(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, h.server)
	if err != nil {
		return fmt.Errorf("connect to Postgres: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	names := func(query string, args ...any) []string {
		rows, qerr := conn.Query(ctx, query, args...)
		list, cerr := pgx.CollectRows(rows, pgx.RowTo[string])
		err = errors.Join(err, qerr, cerr)
		return list
	}
	run := func(q string) {
		_, xerr := conn.Exec(ctx, q)
		err = errors.Join(err, xerr)
	}
	groups := names(`SELECT g.rolname FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles r ON r.oid = m.member WHERE r.rolname = $1`, h.Name)
	for _, db := range names(`SELECT datname FROM pg_database WHERE datdba = (SELECT oid FROM pg_roles WHERE rolname = $1)`, h.Name) {
		run(`DROP DATABASE ` + quote(db) + ` WITH (FORCE)`)
	}
	for _, g := range groups {
		prefix := groupOfTenants.FindStringSubmatch(g)
		if prefix == nil {
			continue
		}
		for _, role := range names(`SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1) ORDER BY length(rolname) DESC`, prefix[1]) {
			run(`DROP OWNED BY ` + quote(role))
			run(`DROP ROLE ` + quote(role))
		}
	}
	for range names(`SELECT rolname FROM pg_roles WHERE rolname = $1`, h.Name) {
		run(`DROP OWNED BY ` + quote(h.Name))
		run(`DROP ROLE ` + quote(h.Name))
	}
	if err != nil {
		return fmt.Errorf("remove a hub's home: %w", err)
	}
	return nil
}
