package external

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// seal is what a database says of whose it is. Whether it was written by this hub is for the hub to judge; a seal that says another tenant is
// respected whoever wrote it.
type seal struct {
	who   whose
	found bool
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func readSeal(ctx context.Context, q querier) (seal, error) {
	var there bool
	if err := q.QueryRowContext(ctx, `SELECT to_regclass('public.kitshub_identity') IS NOT NULL`).Scan(&there); err != nil || !there {
		return seal{}, err
	}
	var s seal
	err := q.QueryRowContext(ctx, `SELECT tenant_id, generation FROM public.kitshub_identity WHERE one = 1`).Scan(&s.who.tenantID, &s.who.generation)
	if errors.Is(err, sql.ErrNoRows) {
		return seal{}, nil
	}
	s.found = err == nil
	return s, err
}

// supabaseSchemas are those that Supabase puts into a project's database, or that its own tools make
// (https://supabase.com/docs/guides/database/overview). They are nobody's contents, but only in a database of Supabase's.
var supabaseSchemas = []string{
	"auth", "storage", "realtime", "_realtime", "extensions", "graphql", "graphql_public", "vault", "pgsodium", "pgsodium_masks", "pgbouncer", "net",
	"cron", "pgmq", "pgtle", "supabase_functions", "supabase_migrations", "_analytics", "_supavisor", "tiger", "tiger_data", "topology",
}

// ownTables are what package tenantdb furnishes a database with; without a seal they are a beginning that was cut short.
const ownTables = `'kitshub_ledger', 'kitshub_identity', 'kitshub_probe'`

// objects are what somebody made in the database: schemas, relations, routines and types, but for what the server, an extension, or one of the
// schemas in $1 has. A table's own row type, sequence, index and the like go with it.
const objects = `
WITH spaces AS (
  SELECT oid, nspname FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND nspname <> ALL (string_to_array($1, ','))
), objects AS (
  SELECT 'pg_namespace'::regclass AS class, oid, 'schema' AS kind, quote_ident(nspname) AS name, oid AS space FROM spaces WHERE nspname <> 'public'
  UNION ALL
  SELECT 'pg_class'::regclass, c.oid, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
    quote_ident(s.nspname) || '.' || quote_ident(c.relname), s.oid
  FROM pg_class c JOIN spaces s ON s.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  UNION ALL
  SELECT 'pg_proc'::regclass, p.oid, 'routine', p.oid::regprocedure::text, s.oid FROM pg_proc p JOIN spaces s ON s.oid = p.pronamespace
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, 'type', t.oid::regtype::text, s.oid FROM pg_type t JOIN spaces s ON s.oid = t.typnamespace
  LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c')
), theirs AS (
  SELECT o.* FROM objects o
  WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND (d.deptype = 'e' OR (d.deptype IN ('i', 'a') AND d.refclassid = 'pg_class'::regclass AND o.kind = 'sequence')))
)`

// foreign counts what is in a database that has no seal, and names one of them. A stand-in for Supabase's schema and the hub's own tables are
// no contents: they are the beginning of a pipeline that was cut short.
func foreign(ctx context.Context, q querier, supabase bool) (n int, first string, err error) {
	err = q.QueryRowContext(ctx, objects+`
		SELECT count(*), coalesce((array_agg(kind || ' ' || name ORDER BY class <> 'pg_class'::regclass, name))[1], '') FROM theirs t
		WHERE NOT (kind = 'table' AND name IN (SELECT 'public.' || x FROM unnest(ARRAY[`+ownTables+`]) x))
		  AND NOT EXISTS (SELECT FROM pg_namespace n WHERE n.oid = t.space AND n.nspname = 'auth' AND obj_description(n.oid, 'pg_namespace') = 'kitshub:compat')`,
		passedOver(supabase)).Scan(&n, &first)
	return n, first, err
}

func passedOver(supabase bool) string {
	if !supabase {
		return ""
	}
	return strings.Join(supabaseSchemas, ",")
}
