package catalog

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"modernc.org/sqlite" // registers the driver, too

	"github.com/kitshub/kitshub/internal/hub"
)

// limitAttached is SQLITE_LIMIT_ATTACHED. At zero neither ATTACH nor VACUUM INTO works, so that linting a stranger's catalog writes no file.
const limitAttached = 7

// liteLint runs features on SQLite in memory and keeps what went wrong.
type liteLint struct {
	*loader
	failed map[string]bool // features with a failure of their own: what depends on them is not run
	tables tableSet        // what all features together made, nil when they did not run to the end
}

// phases are the three passes of a tenant's pipeline, in order.
var phases = []func(*feature) []hub.Script{
	func(f *feature) []hub.Script { return f.Migrations },
	func(f *feature) []hub.Script { return f.Seeds },
	func(f *feature) []hub.Script { return f.Checks },
}

// run runs each feature with just what it depends on, which shows a dependency that is not declared, and then all features together, which
// shows two that cannot live in one database.
func (l *liteLint) run(ctx context.Context) {
	c := l.partial()
	var all []string
	for _, f := range l.features {
		order, err := c.Closure([]string{f.Name})
		if err != nil || f.broken {
			l.failed[f.Name] = true // a circle, found already, or scripts that are not all there
			continue
		}
		all = append(all, f.Name)
		l.apply(ctx, order, f.Name)
	}
	if len(all) < len(l.features) || len(l.failed) > 0 {
		return
	}
	if order, err := c.Closure(all); err == nil {
		l.apply(ctx, order, "")
	}
}

// apply runs the features in order in a fresh database; only failures of the one named are told, or of any if it is empty.
func (l *liteLint) apply(ctx context.Context, order []string, only string) {
	if slices.ContainsFunc(order, func(name string) bool { return l.failed[name] }) {
		l.failed[only] = l.failed[only] || only != ""
		return
	}
	conn, closeConn, err := openLite(ctx)
	if err != nil {
		l.findings = append(l.findings, interrupted(err))
		return
	}
	defer closeConn()
	for phase, scripts := range phases {
		for _, name := range order {
			for _, s := range scripts(l.feature(name)) {
				found := l.runScript(ctx, conn, s, phase == len(phases)-1)
				if found == nil {
					continue
				}
				if only == "" || name == only {
					if only == "" && found.Rule == RuleSQL {
						found.Message += " (with all features in one database)"
					}
					l.failed[name] = true
					l.findings = append(l.findings, *found)
				}
				return
			}
		}
	}
	if only == "" {
		l.tables, err = liteTables(ctx, conn)
		if err != nil {
			l.findings = append(l.findings, interrupted(err))
		}
	}
}

func openLite(ctx context.Context) (*sql.Conn, func(), error) {
	db, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	if err != nil {
		return nil, nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	closeAll := func() { _, _ = conn.Close(), db.Close() } // in memory: nothing to lose
	if _, err := sqlite.Limit(conn, limitAttached, 0); err != nil {
		closeAll()
		return nil, nil, err
	}
	return conn, closeAll, nil
}

// runScript runs one script; a nil result is success. Checks run read-only and must give no row.
func (l *liteLint) runScript(ctx context.Context, conn *sql.Conn, s hub.Script, check bool) *Finding {
	src := s.Text[hub.SQLite]
	wrap := !check && !src.NoTransaction
	if wrap {
		if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
			f := interrupted(err)
			return &f
		}
	}
	for _, st := range Split(src.SQL, hub.SQLite) {
		var err error
		if src.NoTransaction && strings.EqualFold(st.SQL, "VACUUM") {
			continue // it needs the attaching that is off here, and there is nothing to tidy in memory
		}
		if check {
			if err = noRow(ctx, conn, st.SQL); err == nil {
				continue
			}
		} else if _, err = conn.ExecContext(ctx, st.SQL); err == nil {
			continue
		}
		if ctx.Err() != nil {
			f := interrupted(ctx.Err())
			return &f
		}
		var fault faultError
		if errors.As(err, &fault) {
			return &Finding{
				File: src.File, Line: st.Line, Rule: RuleCheck, Message: "the check finds a fault in a fresh database: " + string(fault),
				Fix: "Mend the migrations or seeds, or the check: it must give no row.",
			}
		}
		return &Finding{
			File: src.File, Line: st.Line + lineWithin(ctx, conn, st.SQL, err), Rule: RuleSQL, Message: "SQLite refuses the statement: " + liteMessage(err),
			Fix: "Correct it; if another feature makes what is missing, add that feature to depends_on.",
		}
	}
	if wrap {
		if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
			return &Finding{
				File: src.File, Line: 1, Rule: RuleSQL, Message: "SQLite refuses to commit the script: " + liteMessage(err),
				Fix: "Leave BEGIN and COMMIT to the hub, and check deferred foreign keys.",
			}
		}
	}
	return nil
}

// faultError is the first row of a check that should have given none.
type faultError string

func (f faultError) Error() string { return string(f) }

// noRow runs a query read-only and refuses its first row with a faultError.
func noRow(ctx context.Context, conn *sql.Conn, query string) (err error) {
	if _, err := conn.ExecContext(ctx, "PRAGMA query_only = 1"); err != nil {
		return err
	}
	defer func() {
		_, undo := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA query_only = 0")
		err = errors.Join(err, undo)
	}()
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if !rows.Next() {
		return rows.Err()
	}
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	if err := rows.Scan(targets...); err != nil {
		return err
	}
	return faultError(strings.Trim(fmt.Sprint(values), "[]"))
}

// liteTables reads the tables and their columns.
func liteTables(ctx context.Context, conn *sql.Conn) (tables tableSet, err error) {
	rows, err := conn.QueryContext(ctx, `
		SELECT lower(t.name), lower(c.name) FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	tables = tableSet{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return nil, err
		}
		tables.table(table).columns[column] = true
	}
	return tables, rows.Err()
}
