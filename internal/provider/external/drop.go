package external

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// Drop takes away what the pipeline made, and leaves the database and all that others put into it, so that it can be brought again. It does so
// in one transaction, and only under this tenant's seal or where nobody's is: in any other database it touches nothing. One that is gone is no
// error.
//
// What the pipeline made is told by who made it: the server keeps with each row of its catalogs the transaction that wrote it, and the pipeline's
// transactions are known by the rows of the ledger. A dump that was restored elsewhere has lost this; nothing is taken away there.
func (p *base) Drop(ctx context.Context, b hub.Backend, c hub.Credentials) error {
	a, err := p.address(b, c)
	if err != nil {
		return err
	}
	err = p.with(ctx, a, "clearing the database", func(db *sql.DB) error {
		return inTx(ctx, db, func(tx *sql.Tx) error { return p.clear(ctx, tx, whose{b.TenantID, b.Generation}) })
	})
	if provider.PostgresCode(err) == codeNoDatabase {
		return nil
	}
	return err
}

func (p *base) clear(ctx context.Context, tx *sql.Tx, who whose) error {
	s, err := readSeal(ctx, tx)
	if err != nil {
		return err
	}
	if s.found && s.who != who {
		p.log.WarnContext(ctx, "a brought database carries another tenant's seal; it was not touched", "tenant", who.tenantID)
		return nil
	}
	var supabase bool
	if err := tx.QueryRowContext(ctx, `SELECT `+isSupabase).Scan(&supabase); err != nil {
		return err
	}
	made, err := makers(ctx, tx)
	if err != nil || made == "" {
		return err
	}
	pass := passedOver(supabase)
	before, err := list(ctx, tx, fingerprints, pass, made)
	if err != nil {
		return err
	}
	drops, err := list(ctx, tx, dropsSQL, pass, made)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, strings.Join(drops, ";\n")); err != nil {
		return err
	}
	after, err := list(ctx, tx, fingerprints, pass, made)
	if err != nil {
		return err
	}
	for _, f := range before {
		if !slices.Contains(after, f) {
			name, _, _ := strings.Cut(f, "\n")
			return &fault{
				code: hub.CodeCredentialsInvalid, class: hub.ClassData, native: "2BP01",
				message: fmt.Sprintf("Something in the database that is not the hub's hangs on what the pipeline made: %s; nothing was taken away.", name),
				fix:     "Remove it, or that part of it, then retry.",
			}
		}
	}
	return dropSpaces(ctx, tx, pass, made)
}

// creation is the transaction that made an object: the one that wrote on which schema it depends, a row that is written once.
const creation = `(SELECT min(d.xmin::text) FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.refclassid = 'pg_namespace'::regclass AND d.refobjid = o.space)`

// makers lists the transactions of the pipeline: those of the ledger's rows, of the hub's own tables and of the stand-in for Supabase's schema.
// Empty where it never came so far.
func makers(ctx context.Context, tx *sql.Tx) (string, error) {
	var ledger bool
	if err := tx.QueryRowContext(ctx, `SELECT to_regclass('public.kitshub_ledger') IS NOT NULL`).Scan(&ledger); err != nil {
		return "", err
	}
	query := `
		SELECT d.xmin::text AS x FROM pg_depend d JOIN pg_class c ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_namespace'::regclass
		WHERE c.relnamespace = 'public'::regnamespace AND c.relname IN (` + ownTables + `)
		UNION SELECT d.xmin::text FROM pg_description d JOIN pg_namespace n ON d.classoid = 'pg_namespace'::regclass AND d.objoid = n.oid
		WHERE n.nspname = 'auth' AND d.description = '` + provider.CompatMark + `'`
	if ledger {
		query += ` UNION SELECT xmin::text FROM public.kitshub_ledger`
	}
	var all string
	err := tx.QueryRowContext(ctx, `SELECT coalesce(string_agg(x, ','), '') FROM (`+query+`) made`).Scan(&all)
	return all, err
}

// list runs a query of one text a row.
func list(ctx context.Context, tx *sql.Tx, query string, args ...any) (out []string, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// dropsSQL gives the statements that take away what the transactions in $2 made; what hangs on a thing goes with it, so the order is only for
// those that hang on nothing. Last are the extensions and the rights that were arranged.
const dropsSQL = objects + `
SELECT 'DROP ' || CASE kind WHEN 'view' THEN 'VIEW' WHEN 'materialized view' THEN 'MATERIALIZED VIEW' WHEN 'sequence' THEN 'SEQUENCE'
    WHEN 'foreign table' THEN 'FOREIGN TABLE' WHEN 'table' THEN 'TABLE' WHEN 'routine' THEN 'ROUTINE' WHEN 'type' THEN 'TYPE' END
  || ' IF EXISTS ' || name || ' CASCADE'
FROM theirs o WHERE kind <> 'schema' AND ` + creation + ` = ANY (string_to_array($2, ','))
UNION ALL
SELECT 'DROP EXTENSION IF EXISTS ' || quote_ident(extname) || ' CASCADE' FROM pg_extension WHERE xmin::text = ANY (string_to_array($2, ','))
UNION ALL
SELECT DISTINCT 'ALTER DEFAULT PRIVILEGES FOR ROLE ' || quote_ident(pg_get_userbyid(a.defaclrole)) || ' IN SCHEMA ' || quote_ident(n.nspname) || ' REVOKE ALL ON '
  || CASE a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' ELSE 'TYPES' END || ' FROM '
  || CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END
FROM pg_default_acl a JOIN pg_namespace n ON n.oid = a.defaclnamespace CROSS JOIN LATERAL aclexplode(a.defaclacl) x
WHERE a.xmin::text = ANY (string_to_array($2, ',')) AND a.defaclobjtype IN ('r', 'S', 'f', 'T')`

// fingerprints describes what others made, one row a thing, in a way that changes when a part of it is gone. The name stands in the first line.
const fingerprints = objects + `
SELECT kind || ' ' || name || E'\n' || concat_ws(',',
    (SELECT count(*) FROM pg_constraint x WHERE class = 'pg_class'::regclass AND x.conrelid = o.oid OR class = 'pg_type'::regclass AND x.contypid = o.oid),
    (SELECT count(*) FROM pg_trigger x WHERE class = 'pg_class'::regclass AND x.tgrelid = o.oid),
    (SELECT count(*) FROM pg_policy x WHERE class = 'pg_class'::regclass AND x.polrelid = o.oid),
    (SELECT count(*) FROM pg_attrdef x WHERE class = 'pg_class'::regclass AND x.adrelid = o.oid),
    (SELECT count(*) FROM pg_index x WHERE class = 'pg_class'::regclass AND x.indrelid = o.oid),
    (SELECT count(*) FROM pg_attribute x WHERE class = 'pg_class'::regclass AND x.attrelid = o.oid AND NOT x.attisdropped))
FROM theirs o WHERE kind <> 'schema' AND coalesce(` + creation + `, '') <> ALL (string_to_array($2, ','))
ORDER BY 1`

// dropSpaces takes away the schemas that the pipeline made, where nothing is left in them.
func dropSpaces(ctx context.Context, tx *sql.Tx, pass, made string) error {
	drops, err := list(ctx, tx, objects+`
		SELECT 'DROP SCHEMA ' || o.name FROM theirs o JOIN pg_namespace n ON n.oid = o.oid AND o.kind = 'schema'
		WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid)
		  AND (n.xmin::text = ANY (string_to_array($2, ',')) OR EXISTS (SELECT FROM pg_shdepend s WHERE s.classid = 'pg_namespace'::regclass AND s.objid = n.oid
		    AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.deptype = 'o' AND s.xmin::text = ANY (string_to_array($2, ','))))`, pass, made)
	if err != nil || len(drops) == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, strings.Join(drops, ";\n"))
	return err
}
