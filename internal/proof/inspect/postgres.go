package inspect

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// oursPostgres leaves out what belongs to Postgres and to the hub: those are looked at by name. The schema auth answers as Supabase's does;
// it is no part of any catalog.
const (
	oursPostgres = ` n.nspname NOT IN ('information_schema', 'auth') AND n.nspname NOT LIKE 'pg\_%' `
	notHubs      = ` c.relname NOT LIKE 'kitshub\_%' AND ` + oursPostgres
	nameOf       = ` CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END `
	relations    = ` pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace `
)

var questionsPostgres = []string{
	`SELECT 'schema ' || n.nspname, '' FROM pg_namespace n WHERE ` + oursPostgres,
	`SELECT 'extension ' || extname, '' FROM pg_extension`,

	`SELECT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' ELSE 'table ' END ||` + nameOf + `,
		CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) || coalesce(c.reloptions::text, '')
		ELSE format('kind %s, row security %s, forced %s, of %s', c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relpersistence) END
	 FROM` + relations + `WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND` + notHubs,

	`SELECT 'sequence ' ||` + nameOf + `, format('%s from %s by %s, %s to %s, cycle %s', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle)
	 FROM pg_sequence s JOIN` + relations + `ON c.oid = s.seqrelid WHERE` + notHubs,

	`SELECT 'column ' ||` + nameOf + `|| '.' || a.attname, format('%s %s not null=%s default=%s identity=%s generated=%s collate %s', a.attnum,
		format_type(a.atttypid, a.atttypmod), a.attnotnull, coalesce(pg_get_expr(d.adbin, d.adrelid), 'none'), a.attidentity, a.attgenerated, a.attcollation::regcollation)
	 FROM` + relations + `JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND` + notHubs,

	`SELECT 'constraint ' ||` + nameOf + `|| '.' || k.conname, pg_get_constraintdef(k.oid) || ' valid=' || k.convalidated
	 FROM pg_constraint k JOIN` + relations + `ON c.oid = k.conrelid WHERE` + notHubs,

	`SELECT 'index ' || x.relname, pg_get_indexdef(i.indexrelid) || ' valid=' || i.indisvalid
	 FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN` + relations + `ON c.oid = i.indrelid WHERE` + notHubs,

	`SELECT 'trigger ' ||` + nameOf + `|| '.' || t.tgname, pg_get_triggerdef(t.oid) || ' enabled=' || t.tgenabled::text
	 FROM pg_trigger t JOIN` + relations + `ON c.oid = t.tgrelid WHERE NOT t.tgisinternal AND` + notHubs,

	`SELECT 'policy ' ||` + nameOf + `|| '.' || p.polname, format('for %s, permissive %s, to %s, using (%s), check (%s)', p.polcmd, p.polpermissive,
		(SELECT string_agg(CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END, ', ') FROM unnest(p.polroles) r),
		pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
	 FROM pg_policy p JOIN` + relations + `ON c.oid = p.polrelid WHERE` + notHubs,

	`SELECT 'function ' || c.oid::regprocedure, pg_get_functiondef(c.oid) FROM pg_proc c JOIN pg_namespace n ON n.oid = c.pronamespace
	 WHERE c.prokind IN ('f', 'p') AND` + oursPostgres,

	`SELECT 'type ' || c.oid::regtype, format('%s %s %s', c.typtype, CASE WHEN c.typtype = 'd' THEN format_type(c.typbasetype, c.typtypmod) END,
		(SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = c.oid))
	 FROM pg_type c JOIN pg_namespace n ON n.oid = c.typnamespace WHERE c.typtype IN ('d', 'e', 'r') AND` + oursPostgres,

	`SELECT 'constraint of type ' || k.contypid::regtype || '.' || k.conname, pg_get_constraintdef(k.oid)
	 FROM pg_constraint k JOIN pg_type c ON c.oid = k.contypid JOIN pg_namespace n ON n.oid = c.typnamespace WHERE` + oursPostgres,
}

// ofPostgres asks a Postgres database.
func ofPostgres(ctx context.Context, db Querier) (Facts, error) {
	facts := Facts{}
	err := facts.ask(ctx, db, questionsPostgres, func(table string) (string, error) {
		columns, err := steady(ctx, db, `SELECT a.attname, coalesce(pg_get_expr(d.adbin, d.adrelid), '') FROM pg_attribute a
			LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
			WHERE a.attrelid = `+literal(dotted(table))+`::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, `quote_nullable(%s::text)`)
		return `SELECT line, '' FROM (SELECT ` + columns + ` AS line FROM ` + dotted(table) + `) t ORDER BY line COLLATE "C"`, err
	})
	return facts, err
}

// dotted writes a name as the facts have it, "schema.table" or "table", as an identifier.
func dotted(name string) string {
	if schema, table, ok := strings.Cut(name, "."); ok {
		return identifier(schema) + "." + identifier(table)
	}
	return identifier(name)
}

// emptyPostgres makes a database on the server that customers' logins have no business in either; drop drops it.
func emptyPostgres(ctx context.Context, server string) (db *sql.DB, drop func() error, err error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, nil, errors.New("the server's address is not a URL") // the address holds a password
	}
	name := "judge_" + strings.ToLower(rand.Text())
	for _, sql := range []string{`CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8'`, `REVOKE CONNECT ON DATABASE %s FROM PUBLIC`} {
		if err := onServer(ctx, server, fmt.Sprintf(sql, identifier(name))); err != nil {
			return nil, nil, err
		}
	}
	u.Path = "/" + name
	if db, err = Open(u.String()); err != nil {
		return nil, nil, err
	}
	return db, func() error {
		return errors.Join(db.Close(), onServer(context.WithoutCancel(ctx), server, `DROP DATABASE `+identifier(name)+` WITH (FORCE)`))
	}, nil
}

func onServer(ctx context.Context, server, statement string) error {
	db, err := Open(server)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// powers are what the customer's login must not have; each query gives one line for each thing that is wrong.
var powers = []string{
	`SELECT 'its login has more power than it should', format('superuser %s, createdb %s, createrole %s, replication %s, bypassrls %s', rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls)
	 FROM pg_roles WHERE rolname = current_user AND (rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls)`,

	`SELECT 'its login can act as the owner of', c.relname FROM` + relations + `WHERE c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER') AND` + oursPostgres,

	`SELECT 'its login can act as the owner of', 'the database' FROM pg_database WHERE datname = current_database() AND pg_has_role(current_user, datdba, 'MEMBER')`,

	`SELECT 'every role may connect to', current_database() WHERE has_database_privilege('public', current_database(), 'CONNECT')`,

	`SELECT 'its login may write', c.relname FROM` + relations + `WHERE c.relname IN ('kitshub_ledger', 'kitshub_identity')
	 AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') AND` + oursPostgres,
}

func comparePostgres(ctx context.Context, db *sql.DB, want *Expected) ([]string, error) {
	facts, err := ofPostgres(ctx, db)
	if err != nil {
		return nil, err
	}
	wrong := want.Facts.Diff(facts)
	for _, q := range powers {
		if err := each(ctx, db, q, func(what, which string) { wrong = append(wrong, what+" "+which) }); err != nil {
			return nil, fmt.Errorf("ask for the login's rights: %w", err)
		}
	}
	strangers, err := strangersSee(ctx, db, facts)
	return append(wrong, strangers...), err
}

// strangersSee lists the tables under row-level security that show rows to the role of those who are not signed in.
func strangersSee(ctx context.Context, db *sql.DB, facts Facts) (wrong []string, err error) {
	var counts []string
	for _, t := range facts.tables() {
		if strings.Contains(facts["table "+t], "forced t") {
			counts = append(counts, `SELECT `+literal(t)+`, count(*) AS n FROM `+dotted(t))
		}
	}
	if len(counts) == 0 {
		return nil, nil
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `SET LOCAL ROLE anon`); err != nil {
		return nil, fmt.Errorf("become a stranger: %w", err)
	}
	err = each(ctx, tx, `SELECT t.* FROM (`+strings.Join(counts, ` UNION ALL `)+`) t WHERE n > 0`, func(table, n string) {
		wrong = append(wrong, fmt.Sprintf("a stranger sees %s rows of %s", n, table))
	})
	if err != nil {
		return nil, fmt.Errorf("look as a stranger: %w", err)
	}
	return wrong, nil
}

// Refused tries to open another database with the login of one place; nil means that the server refused it for want of a right, which is
// the only good answer.
func Refused(ctx context.Context, place, database string) error {
	u, err := url.Parse(place)
	if err != nil {
		return errors.New("the place is not a URL") // it holds a password
	}
	u.Path = "/" + database
	db, err := Open(u.String())
	if err != nil {
		return err
	}
	var pg *pgconn.PgError
	switch err := errors.Join(db.PingContext(ctx), db.Close()); {
	case err == nil:
		return fmt.Errorf("its login opens the database %s too", database)
	case errors.As(err, &pg) && pg.Code == "42501":
		return nil
	default:
		return fmt.Errorf("to open the database %s was not refused but failed: %w", database, err)
	}
}
