package kill9

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver of the hub's database on Postgres
	_ "modernc.org/sqlite"             // and on SQLite
)

// database is the hub's own one, read past the hub.
type database struct {
	file string // on SQLite
	url  string // on Postgres
	dir  string // for copies
}

// requestRow and tenantRow are what is compared with the record.
type requestRow struct{ id, email, state, tenant string }

type tenantRow struct{ id, request, state, place string }

// with opens what is there now and hands it to f. On SQLite that is a copy: opening the file itself would replay its log, which is the
// victim's own business at its next start.
func (d *database) with(ctx context.Context, f func(*sql.DB) error) error {
	driver, source := "pgx", d.url
	if d.url == "" {
		copied := filepath.Join(d.dir, "copy.db")
		for _, suffix := range []string{"", "-wal"} {
			if err := copyFile(copied+suffix, d.file+suffix); err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
				return fmt.Errorf("copy the hub's database: %w", err)
			}
		}
		defer func() {
			for _, suffix := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(copied + suffix) // the next copy writes over it anyway
			}
		}()
		driver, source = "sqlite", (&url.URL{Scheme: "file", Path: copied, RawQuery: "mode=rw"}).String()
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// states counts the requests by state.
func (d *database) states(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	err := d.with(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `SELECT state, count(*) FROM requests GROUP BY state`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var state string
			var n int
			if err := rows.Scan(&state, &n); err != nil {
				return err
			}
			out[state] = n
		}
		return rows.Err()
	})
	return out, err
}

// all reads every request and tenant.
func (d *database) all(ctx context.Context) (requests []requestRow, tenants []tenantRow, err error) {
	err = d.with(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, `SELECT r.id, c.email, r.state, r.tenant_id FROM requests r JOIN customers c ON c.id = r.customer_id`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var r requestRow
			if err := rows.Scan(&r.id, &r.email, &r.state, &r.tenant); err != nil {
				return err
			}
			requests = append(requests, r)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		more, err := db.QueryContext(ctx, `SELECT id, request_id, state, place FROM tenants`)
		if err != nil {
			return err
		}
		defer func() { _ = more.Close() }()
		for more.Next() {
			var t tenantRow
			if err := more.Scan(&t.id, &t.request, &t.state, &t.place); err != nil {
				return err
			}
			tenants = append(tenants, t)
		}
		return more.Err()
	})
	return requests, tenants, err
}
