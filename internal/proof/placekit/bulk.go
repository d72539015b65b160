//go:build unix

package placekit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kitshub/kitshub/internal/proof/check"
	"github.com/kitshub/kitshub/internal/proof/progress"
)

// table is rows to be written; row gives the values of row i.
type table struct {
	name    string
	columns []string
	n       int
	row     func(i int) []any
}

const timeLayout = "2006-01-02T15:04:05.000000Z" // as the store writes times

func stamp(micro int64) string { return time.UnixMicro(micro).UTC().Format(timeLayout) }

// tables are the rows of a line, the first tokens of whom have a status token each.
func (l *Line) tables(tokens int) []table {
	r := rand.New(rand.NewPCG(uint64(l.Seed), 5)) //nolint:gosec // the same seed shall give the same line
	customers := make([]string, len(l.All))
	for i, w := range l.All {
		customers[i] = ID("cus_", w.At, r)
	}
	return []table{
		{"customers", strings.Fields("id email company_name contact_name phone billing search created_at"), len(l.All), func(i int) []any {
			email := fmt.Sprintf("w%d@line.example", i)
			company := fmt.Sprintf("Company %d", i)
			return []any{customers[i], email, company, "Pat Proof", "", "{}", email + " " + strings.ToLower(company) + " pat proof", stamp(l.All[i].At)}
		}},
		{"requests", requestColumns, len(l.All), func(i int) []any { return requestRow(l.All[i], customers[i]) }},
		{"status_tokens", strings.Fields("hash request_id created_at"), tokens, func(i int) []any {
			return []any{hash(l.Token(i)), l.All[i].ID, stamp(l.All[i].At)}
		}},
	}
}

var requestColumns = strings.Fields(`id customer_id plan features priority way state assigned_to tenant_id notes billing_cycle referral_source
	special_requirements enqueued_at updated_at worker fence version`)

func requestRow(w Waiting, customer string) []any {
	at := stamp(w.At)
	return []any{w.ID, customer, "enterprise", `["core"]`, int64(w.Priority), "operator", "pending", "", "", "", "monthly", "", "", at, at, "", int64(0), int64(1)}
}

// Seed writes a line into an empty hub's database; the first tokens of All get a status token each. Indexes are made afterwards, which is
// quicker and gives the same database.
func (w *World) Seed(ctx context.Context, l *Line, tokens int) error {
	bar := progress.New(w.Log, "seeding", 2*len(l.All)+tokens)
	defer bar.Close()
	if w.Engine == check.Postgres {
		return w.seedPostgres(ctx, l.tables(tokens), bar)
	}
	return w.seedSQLite(ctx, l.tables(tokens), bar)
}

func (w *World) seedPostgres(ctx context.Context, tables []table, bar *progress.Bar) (err error) {
	conn, err := pgx.Connect(ctx, w.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	indexes, err := without(ctx, w.DB, `SELECT i.indexname, i.indexdef FROM pg_indexes i WHERE i.schemaname = 'public' AND i.tablename IN ('customers', 'requests', 'status_tokens')
		AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conname = i.indexname)`)
	if err != nil {
		return err
	}
	// No checks of foreign keys: they are true by the way the rows are made.
	for _, q := range []string{"SET session_replication_role = replica", "SET maintenance_work_mem = '256MB'"} {
		if _, err := conn.Exec(ctx, q); err != nil {
			return err
		}
	}
	for _, t := range tables {
		i := 0
		_, err := conn.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, pgx.CopyFromFunc(func() ([]any, error) {
			if i == t.n {
				return nil, nil
			}
			i++
			bar.Add(1)
			return t.row(i - 1), nil
		}))
		if err != nil {
			return fmt.Errorf("seed %s: %w", t.name, err)
		}
	}
	for _, q := range append(indexes, "VACUUM ANALYZE customers", "VACUUM ANALYZE requests", "VACUUM ANALYZE status_tokens", "CHECKPOINT") {
		if _, err := conn.Exec(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
	}
	return nil
}

func indexesOf(ctx context.Context, db *sql.DB, query string) (names, texts []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			return nil, nil, err
		}
		names, texts = append(names, name), append(texts, text)
	}
	return names, texts, rows.Err()
}

// without drops the indexes that the query names and gives the statements that make them again.
func without(ctx context.Context, db *sql.DB, query string) (remake []string, err error) {
	names, remake, err := indexesOf(ctx, db, query)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if _, err := db.ExecContext(ctx, "DROP INDEX "+name); err != nil {
			return nil, err
		}
	}
	return remake, nil
}

// rowsAtOnce is how many rows one statement carries.
const rowsAtOnce = 50

func (w *World) seedSQLite(ctx context.Context, tables []table, bar *progress.Bar) error {
	indexes, err := without(ctx, w.DB, `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('customers', 'requests', 'status_tokens')`)
	if err != nil {
		return err
	}
	conn, err := w.DB.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = OFF"); err != nil { // until it is closed
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, t := range tables {
		if err := t.insert(ctx, tx, bar); err != nil {
			return fmt.Errorf("seed %s: %w", t.name, err)
		}
	}
	for _, q := range indexes {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (t table) insert(ctx context.Context, tx *sql.Tx, bar *progress.Bar) error {
	for at := 0; at < t.n; {
		some := min(rowsAtOnce, t.n-at)
		part := table{t.name, t.columns, some, func(i int) []any { return t.row(at + i) }}
		if err := part.write(ctx, tx); err != nil {
			return err
		}
		at += some
		bar.Add(some)
	}
	return nil
}
