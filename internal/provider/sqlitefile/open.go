package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/kitshub/kitshub/internal/hub"
)

// busyTimeout is how long a statement waits for another writer of the same database before it fails with SQLITE_BUSY.
const busyTimeout = 5 * time.Second

// Open connects to a database that is there. The owner's connections sync every commit, since what the pipeline says is done must be; the
// tenant's have what the customer's program would have, plus foreign keys, which SQLite checks only on request.
func (p *Provider) Open(ctx context.Context, b hub.Backend, c hub.Credentials, r hub.Role) (*sql.DB, error) {
	path, err := p.path(b)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	there, err := exists(path)
	if err != nil {
		return nil, fault("looking for the database", err)
	}
	if !there {
		return nil, missing(b, syscall.ENOENT)
	}
	pragmas := []string{fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "foreign_keys(1)"}
	switch r {
	case hub.RoleOwner:
		pragmas = append(pragmas, "synchronous(FULL)")
	case hub.RoleTenant:
		if c.URL != p.credentials(b.TenantID, b.Place).URL { // what the customer is given must be what is probed
			return nil, &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf("the credentials of %s lead to another place than its database", b.TenantID)}
		}
	default:
		return nil, &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("there is no role %.20q", r)}
	}
	db, err := sql.Open("sqlite", dsn(path, pragmas...))
	if err != nil {
		return nil, fault("opening the database", err)
	}
	// One to work on, and one for a query beside an open transaction; SQLite has one writer anyway.
	db.SetMaxOpenConns(2)
	db.SetMaxIdleConns(1)
	// Reading proves what a ping does not: that this is a database.
	var version int
	if err := db.QueryRowContext(ctx, `PRAGMA schema_version`).Scan(&version); err != nil {
		return nil, errors.Join(fault("opening the database", err), db.Close())
	}
	return db, nil
}

// dsn never creates: mode=rw.
func dsn(path string, pragmas ...string) string {
	q := url.Values{"mode": {"rw"}, "_pragma": pragmas}
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// fault makes a *hub.StepError of an error; one that is a *hub.StepError already, and the end of a context, pass through.
func fault(op string, err error) error {
	var step *hub.StepError
	if err == nil || errors.As(err, &step) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	class, code := hub.ClassBug, ""
	var lite *sqlite.Error
	var errno syscall.Errno
	switch {
	case errors.As(err, &lite):
		text := sqlite.ErrorCodeString[lite.Code()]
		code = strings.Trim(text[strings.LastIndex(text, "(")+1:], "()")
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM:
			class = hub.ClassQuota
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
			class = hub.ClassNetwork
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			class = hub.ClassData
		case sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH:
			class = hub.ClassAuth
		}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		class = hub.ClassQuota
		code = "ENOSPC"
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			code = "EMFILE"
		}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EROFS):
		class = hub.ClassAuth
	case errors.As(err, &errno): // a disk or a name that may be back at the next try
		class = hub.ClassNetwork
	}
	return &hub.StepError{Class: class, Code: code, Err: fmt.Errorf("%s: %w", op, err)}
}
