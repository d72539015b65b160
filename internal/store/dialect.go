package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// dialect is all that differs between the engines. A query that needs something else gets a name here.
type dialect struct {
	name       string
	goose      goose.Dialect
	migrations string // folder

	lockRow  string // held until the transaction ends; SQLite's write transactions exclude one another anyway
	lockFree string // the same, passing over rows that others hold

	// clock is a query for the transaction's instant; empty: the process's clock, which is the only one there.
	clock string

	// countTable counts the tables named $1: one or none.
	countTable string

	// server asks for version, role, schema, right to make tables, superuser, the most connections and those there are; empty: there is no server.
	server string

	// notify tells the other hubs of the payload $1 when the transaction commits; empty: there are none.
	notify string
}

var sqliteDialect = dialect{
	name: "sqlite", goose: goose.DialectSQLite3, migrations: "migrations/sqlite",
	countTable: `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1`,
}

var postgresDialect = dialect{
	name: "postgres", goose: goose.DialectPostgres, migrations: "migrations/postgres",
	lockRow: " FOR UPDATE OF r", lockFree: " FOR UPDATE OF r SKIP LOCKED",
	// The start of the statement, not of the transaction: a transaction may have waited for its connection.
	clock:      `SELECT to_char(statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`,
	countTable: `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1`,
	server: `
		SELECT current_setting('server_version_num')::int / 10000, quote_ident(current_user), quote_ident(coalesce(current_schema(), 'public')), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
		       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
		       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
		       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')`,
	notify: `SELECT pg_notify('kitshub_line', $1)`,
}

// readOptions asks for one snapshot for all reads of a transaction.
func (d dialect) readOptions() *sql.TxOptions {
	if d.clock == "" {
		return &sql.TxOptions{ReadOnly: true} // every SQLite read transaction is a snapshot
	}
	return &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
}

// now reads the transaction's instant, to the microsecond.
func (d dialect) now(ctx context.Context, tx *sql.Tx) (time.Time, error) {
	if d.clock == "" {
		return time.Now().UTC().Truncate(time.Microsecond), nil
	}
	var t time.Time
	err := tx.QueryRowContext(ctx, d.clock).Scan(scanTime{&t})
	return t, err
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code()
	}
	return 0
}

func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isUnique reports a row that would stand twice.
func isUnique(err error) bool {
	c := sqliteCode(err)
	return c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || postgresCode(err) == "23505"
}

// isUnkeepable reports a text that no row can hold.
func isUnkeepable(err error) bool { return postgresCode(err) == "22021" }

// isRetryable reports a transaction that lost against another one and may be run again.
func isRetryable(err error) bool {
	switch postgresCode(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	}
	return sqliteCode(err)&0xff == sqlite3.SQLITE_BUSY
}

// isDiskFull reports that the write found no room.
func isDiskFull(err error) bool {
	c := sqliteCode(err)
	return c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_IOERR_WRITE || c == sqlite3.SQLITE_IOERR_FSYNC ||
		postgresCode(err) == "53100" || errors.Is(err, syscall.ENOSPC)
}

// isUnreachable reports that no new connection could be made.
func isUnreachable(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// isGone reports that the database cannot be reached or is going down.
func isGone(err error) bool {
	if isUnreachable(err) {
		return true
	}
	code := postgresCode(err)
	if strings.HasPrefix(code, "08") || strings.HasPrefix(code, "57P") || code == "53300" {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, fs.ErrClosed) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}
