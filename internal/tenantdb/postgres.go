package tenantdb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// What only Postgres does, and needs.

// SQLSTATE codes that are met and meant (https://www.postgresql.org/docs/current/errcodes-appendix.html); "KH" is no class of Postgres's.
const (
	stateUnique    = "23505"
	stateNoTable   = "42P01"
	stateRowIsGone = "KH002" // raised by closing
)

// applyAtOnce applies a step in one round trip. The ledger's row and the script go over as one message, which the server runs as one transaction
// (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT). That the step was applied before is then an error,
// of the row that is there already.
func (t *DB) applyAtOnce(ctx context.Context, db *sql.DB, s hub.Step) error {
	if done, err := before(ctx, db, s); err != nil || done {
		return err
	}
	message := framed(s)
	send := func() error {
		return politely(ctx, hub.Postgres, func() error {
			_, err := db.ExecContext(ctx, message)
			return err
		})
	}
	err := send()
	if stateOf(err) == stateNoTable { // the first step of all finds no ledger, or did not until just now; a script's own fault shows again
		if err := furnish(ctx, db, hub.Postgres); err != nil {
			return fault("making the ledger", err)
		}
		err = send()
	}
	switch stateOf(err) {
	case stateUnique:
		if done, err := isApplied(ctx, db, s); err != nil || done {
			return err
		}
	case stateRowIsGone:
		return rowIsGone(s)
	}
	if err != nil {
		return t.locate(ctx, db, hub.Postgres, s, err)
	}
	return afterCommit(ctx, db, s)
}

// opening goes before a script: how long its statements may stand in the way, and the step's row, which is also its lock.
func opening(s hub.Step) string {
	return fmt.Sprintf("%s;\nINSERT INTO kitshub_ledger (step, checksum, applied_at, duration_us) VALUES (%s, %s, %s, 0);\n",
		lockTimeout, literal(s.Name), literal(s.Source.Checksum), literal(stamp(time.Now())))
}

// closing goes after a script. statement_timestamp is when the message came.
func closing(s hub.Step) string {
	return fmt.Sprintf(`
;DO $kitshub$ BEGIN
  UPDATE kitshub_ledger SET duration_us = extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000000 WHERE step = %s;
  IF NOT FOUND THEN RAISE EXCEPTION 'the row is gone' USING ERRCODE = '%s'; END IF;
END $kitshub$`, literal(s.Name), stateRowIsGone)
}

// literal makes a string constant. Only the names and checksums of steps come here, which hold no backslash.
func literal(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }

// standsAside are the statements that wait for others without holding anybody up, for as long as it takes: what they lock lets others read and
// write. To give up would leave an index that is not valid.
var standsAside = regexp.MustCompile(`(?is)^(?:VACUUM\b|.*\bCONCURRENTLY\b)`)

// fullVacuum locks everybody out, as other DDL does.
var fullVacuum = regexp.MustCompile(`(?is)^VACUUM\b.*\bFULL\b`)

// newIndex finds the name of an index that is made without a transaction.
var newIndex = regexp.MustCompile(`(?is)^CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?("(?:[^"]|"")+"|[\pL_][\pL\pN_$]*)\s+ON\b`)

// prepareLoose readies the connection for a statement outside of a transaction. An index of the name that the statement gives and that is not
// valid is what an earlier try left when it was interrupted: the server does not use it, and IF NOT EXISTS would take it for done, so it goes.
func prepareLoose(ctx context.Context, conn *sql.Conn, statement string) error {
	timeout := "500ms"
	if standsAside.MatchString(statement) && !fullVacuum.MatchString(statement) {
		timeout = "0"
	}
	if _, err := conn.ExecContext(ctx, "SET lock_timeout = '"+timeout+"'"); err != nil {
		return err
	}
	m := newIndex.FindStringSubmatch(statement)
	if m == nil {
		return nil
	}
	for {
		var broken string
		err := conn.QueryRowContext(ctx, `SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
			WHERE NOT i.indisvalid AND c.relkind = 'i' AND c.relname = (parse_ident($1))[1] AND pg_has_role(c.relowner, 'USAGE') LIMIT 1`, m[1]).Scan(&broken)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			_, err = conn.ExecContext(ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+broken)
		}
		if err != nil {
			return err
		}
	}
}
