package tenantdb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/kitshub/kitshub/internal/hub"
)

// fault makes a *hub.StepError of an error met while doing op, one of our own statements. A *hub.StepError and the end of a context pass
// through.
func fault(op string, err error) error {
	if err == nil || isStepError(err) {
		return err
	}
	err = fmt.Errorf("%s: %w", op, err)
	if isContextEnd(err) {
		return err
	}
	class, code := classify(err)
	if class == hub.ClassCatalog { // our SQL, not the catalog's
		class = hub.ClassBug
	}
	return &hub.StepError{Class: class, Code: code, Err: err}
}

// scriptFault is fault for a statement of the catalog. Line 0 is unknown.
func scriptFault(src hub.Source, line int, err error) error {
	if err == nil || isStepError(err) || isContextEnd(err) {
		return err
	}
	class, code := classify(err)
	return &hub.StepError{Class: class, Code: code, File: src.File, Line: line, Err: err}
}

func isStepError(err error) bool {
	var step *hub.StepError
	return errors.As(err, &step)
}

func isContextEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// classify says what kind of trouble a database error is, and the database's own name for it.
func classify(err error) (hub.Class, string) {
	var lite *sqlite.Error
	var dial net.Error
	switch {
	case errors.As(err, &lite):
		return classifySQLite(lite.Code()), sqliteCode(lite.Code())
	case stateOf(err) != "":
		return classifySQLState(stateOf(err)), stateOf(err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return hub.ClassQuota, "ENOSPC"
	case errors.Is(err, syscall.ECONNREFUSED):
		return hub.ClassNetwork, "ECONNREFUSED"
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &dial):
		return hub.ClassNetwork, ""
	}
	return hub.ClassBug, ""
}

// classifySQLite: result codes as in https://www.sqlite.org/rescode.html; the low byte is the primary one.
func classifySQLite(code int) hub.Class {
	switch code {
	case sqlite3.SQLITE_IOERR_CORRUPTFS, sqlite3.SQLITE_IOERR_DATA, sqlite3.SQLITE_IOERR_SHORT_READ:
		return hub.ClassData
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM:
		return hub.ClassQuota
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT:
		return hub.ClassNetwork // passes, or the tries run out and a person looks
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT:
		return hub.ClassData
	case sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH:
		return hub.ClassAuth
	case sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_INTERNAL:
		return hub.ClassBug
	}
	return hub.ClassCatalog
}

// sqliteCode gives the symbolic name, of the primary code where the driver has none for the extended one.
func sqliteCode(code int) string {
	for _, c := range []int{code, code & 0xff} {
		text := sqlite.ErrorCodeString[c]
		if i := strings.LastIndex(text, "(SQLITE_"); i >= 0 {
			return strings.Trim(text[i:], "()")
		}
	}
	return fmt.Sprintf("SQLITE_%d", code)
}

// classifySQLState: codes as in https://www.postgresql.org/docs/current/errcodes-appendix.html; the first two characters are the class.
func classifySQLState(state string) hub.Class {
	switch {
	case strings.HasPrefix(state, "08"), strings.HasPrefix(state, "40"), strings.HasPrefix(state, "57"), strings.HasPrefix(state, "58"), state == "55P03", state == "55006":
		return hub.ClassNetwork // connection, serialization, operator intervention, system, lock
	case strings.HasPrefix(state, "28"), state == "42501", state == "25006":
		return hub.ClassAuth
	case strings.HasPrefix(state, "53"):
		return hub.ClassQuota
	case strings.HasPrefix(state, "XX"):
		return hub.ClassData // index or data corrupted
	}
	return hub.ClassCatalog
}

// stateOf is the SQLSTATE that a Postgres server gave, or empty.
func stateOf(err error) string {
	var state interface{ SQLState() string } // *pgconn.PgError
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}

// isNoTable reports that a statement named a table that is not there.
func isNoTable(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_ERROR && strings.Contains(lite.Error(), "no such table")
	}
	return stateOf(err) == stateNoTable
}

// standsInTheWay reports that Postgres ended a statement for somebody else's sake: a lock that did not come free in time, a deadlock, a
// serialization failure. The same again is the cure.
func standsInTheWay(err error) bool {
	state := stateOf(err)
	return state == "55P03" || state == "40P01" || state == "40001"
}

// madeMeanwhile reports the errors with which Postgres answers to two concurrent CREATE TABLE IF NOT EXISTS of one name.
func madeMeanwhile(err error) bool {
	state := stateOf(err)
	return state == stateUnique || state == "42P07" || state == "42710"
}
