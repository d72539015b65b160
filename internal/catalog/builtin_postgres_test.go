package catalog_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

// The roles of the test: the owner and the runtime role are plain, and the names of Supabase's are fixed, so a server may have them already.
// All of the test is one transaction that is rolled back: none of them outlives it.
const pgRoles = `
	CREATE ROLE kits_test_owner; CREATE ROLE kits_test_runtime;
	DO $$ DECLARE r text; BEGIN
		FOREACH r IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
			BEGIN EXECUTE format('CREATE ROLE %I', r); EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
		END LOOP;
	END $$;
	GRANT CREATE ON SCHEMA public TO kits_test_owner;
	DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO kits_test_owner', current_database()); END $$;`

const pgGrants = `GRANT ALL ON ALL TABLES IN SCHEMA public TO kits_test_runtime, anon, authenticated, service_role`

type postgresTest struct {
	*testing.T
	tx *sql.Tx
}

func (p postgresTest) exec(query string) {
	p.Helper()
	if _, err := p.tx.ExecContext(context.Background(), query); err != nil {
		p.Fatalf("%v\n%s", err, query)
	}
}

// openPostgres applies the enterprise plan as a plain owner role, statement by statement.
func openPostgres(t *testing.T) postgresTest {
	t.Helper()
	db, err := sql.Open("pgx", testkit.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	p := postgresTest{t, tx}
	p.exec(pgRoles)
	p.exec("SET LOCAL ROLE kits_test_owner")
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	enterprise, _ := c.Plan("enterprise")
	order, err := c.Closure(enterprise.Features)
	if err != nil {
		t.Fatal(err)
	}
	for _, scripts := range []func(hub.Feature) []hub.Script{
		func(f hub.Feature) []hub.Script { return f.Migrations },
		func(f hub.Feature) []hub.Script { return f.Seeds },
	} {
		for _, name := range order {
			f, _ := c.Feature(name)
			for _, s := range scripts(f) {
				src := s.Text[hub.Postgres]
				for _, st := range catalog.Split(src.SQL, hub.Postgres) {
					if _, err := tx.ExecContext(context.Background(), st.SQL); err != nil {
						t.Fatalf("%s:%d: %v", src.File, st.Line, err)
					}
				}
			}
		}
	}
	for _, f := range c.Features {
		for _, s := range f.Checks {
			for _, st := range catalog.Split(s.Text[hub.Postgres].SQL, hub.Postgres) {
				if got := p.read(st.SQL); got != "" {
					t.Errorf("%s:%d: %s", s.Text[hub.Postgres].File, st.Line, got)
				}
			}
		}
	}
	p.exec(pgGrants)
	return p
}

// read gives the first column of the rows, or the error, as text; the transaction lives on.
func (p postgresTest) read(query string) string {
	p.Helper()
	p.exec("SAVEPOINT s")
	got, err := func() (out []string, err error) {
		rows, err := p.tx.QueryContext(context.Background(), query)
		if err != nil {
			return nil, err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var v any
			if err := rows.Scan(&v); err != nil {
				return nil, err
			}
			out = append(out, fmt.Sprint(v))
		}
		return out, rows.Err()
	}()
	if err != nil {
		p.exec("ROLLBACK TO SAVEPOINT s")
		return err.Error()
	}
	p.exec("RELEASE SAVEPOINT s")
	return strings.Join(got, ",")
}

// as changes who the session is: a role, the person a program works for, and the subject of a signed token.
func (p postgresTest) as(role, person, subject string) {
	p.Helper()
	claims := ""
	if subject != "" {
		claims = fmt.Sprintf(`{"sub":%q}`, subject)
	}
	p.exec("RESET ROLE")
	p.exec(fmt.Sprintf("SET LOCAL app.person_id = '%s'", person))
	p.exec(fmt.Sprintf("SET LOCAL request.jwt.claims = '%s'", claims))
	p.exec("SET LOCAL ROLE " + role)
}

// TestBuiltinOnPostgres applies the catalog to a real server and works with it as each kind of user.
func TestBuiltinOnPostgres(t *testing.T) {
	p := openPostgres(t)
	const refused = "!row-level security"
	for _, who := range []struct {
		role, person, subject string
		steps                 [][2]string // query, and the answer or, after "!", a part of the error
	}{
		{"kits_test_owner", "", "", [][2]string{
			{`SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`, "42"},
			{`SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND NOT (relrowsecurity AND relforcerowsecurity)`, ""},
		}},
		{"kits_test_runtime", "", "", [][2]string{ // the company's own program: all of its work
			{`INSERT INTO people (id, name, auth_subject) VALUES ('ann', 'Ann', 'sub-a'), ('bob', 'Bob', 'sub-b')`, ""},
			{`INSERT INTO person_roles (person_id, role_id) VALUES ('ann', 'owner'), ('bob', 'staff')`, ""},
			{`INSERT INTO items (id, sku, name, currency, reorder_level) VALUES ('apple', 'A1', 'Apple', 'EUR', 5)`, ""},
			{`INSERT INTO stock_movements (item_id, location_id, quantity, reason) VALUES ('apple', 'loc_main', 10, 'opening'), ('apple', 'loc_main', -7, 'sale')`, ""},
			{`SELECT quantity FROM items_to_reorder`, "3"},
			{`DELETE FROM stock_movements`, "!append-only"},
			{`INSERT INTO employees (id, person_id, number, hired_on) VALUES ('e-ann', 'ann', '1', '2020-01-01'), ('e-bob', 'bob', '2', '2020-01-01')`, ""},
			{`INSERT INTO compensation (employee_id, valid_from, period, amount_minor, currency) VALUES ('e-ann', '2020-01-01', 'month', 500000, 'EUR'), ('e-bob', '2020-01-01', 'month', 300000, 'EUR')`, ""},
			{`INSERT INTO fiscal_periods (id, name, first_day, last_day) VALUES ('y', '2026', '2026-01-01', '2026-12-31')`, ""},
			{`INSERT INTO journal_entries (id, number, entry_date, period_id, currency) VALUES ('j1', '1', '2026-03-01', 'y', 'EUR')`, ""},
			{`INSERT INTO journal_lines (entry_id, line_number, account_id, debit_minor) VALUES ('j1', 1, 'acc_1010', 700)`, ""},
			{`UPDATE journal_entries SET posted_at = now()`, "!balance"},
			{`INSERT INTO journal_lines (entry_id, line_number, account_id, credit_minor) VALUES ('j1', 2, 'acc_4010', 700)`, ""},
			{`UPDATE journal_entries SET posted_at = now()`, ""},
			{`DELETE FROM journal_lines`, "!never changes"},
			{`UPDATE journal_entries SET memo = 'x'`, "!never changes"},
		}},
		{"kits_test_runtime", "bob", "", [][2]string{ // working for Bob: what Bob may
			{`INSERT INTO items (id, sku, name, currency) VALUES ('pear', 'A2', 'Pear', 'EUR')`, ""},
			{`SELECT amount_minor FROM compensation`, "300000"},
			{`SELECT id FROM employees`, "e-bob"},
			{`SELECT count(*) FROM accounts`, "0"},
			{`INSERT INTO person_roles (person_id, role_id) VALUES ('bob', 'owner')`, refused},
			{`INSERT INTO leave_requests (employee_id, leave_type_id, first_day, last_day, half_days) VALUES ('e-bob', 'leave_holiday', '2026-05-01', '2026-05-01', 2)`, ""},
			{`INSERT INTO leave_requests (employee_id, leave_type_id, first_day, last_day, half_days) VALUES ('e-ann', 'leave_holiday', '2026-05-01', '2026-05-01', 2)`, refused},
			{`UPDATE leave_requests SET status = 'approved', decided_at = now()`, refused},
			{`INSERT INTO activity_log (action, person_id) VALUES ('forged', 'ann')`, refused},
			{`INSERT INTO time_entries (employee_id, started_at) VALUES ('e-bob', now())`, ""},
		}},
		{"kits_test_runtime", "ann", "", [][2]string{{`SELECT count(*) FROM compensation`, "2"}, {`SELECT count(*) > 30 FROM accounts`, "true"}}},
		{"anon", "ann", "sub-a", [][2]string{ // strangers, whatever they claim
			{`SELECT id FROM people`, ""},
			{`SELECT id FROM items`, ""},
			{`SELECT item_id FROM items_to_reorder`, ""},
			{`INSERT INTO items (sku, name, currency) VALUES ('A3', 'Plum', 'EUR')`, refused},
		}},
		{"authenticated", "ann", "", [][2]string{{`SELECT id FROM items`, ""}}}, // no token: the setting is not believed
		{"authenticated", "ann", "sub-nobody", [][2]string{{`SELECT id FROM items`, ""}}},
		{"authenticated", "ann", "sub-b", [][2]string{ // Bob by his token, who says that he is Ann
			{`SELECT count(*) FROM items`, "2"},
			{`SELECT amount_minor FROM compensation`, "300000"},
			{`INSERT INTO role_permissions (role_id, permission) VALUES ('staff', '*')`, refused},
		}},
		{"service_role", "", "", [][2]string{{`SELECT count(*) FROM compensation`, "2"}}},
	} {
		p.as(who.role, who.person, who.subject)
		for _, step := range who.steps {
			got := p.read(step[0])
			part, fails := strings.CutPrefix(step[1], "!")
			if got != part && (!fails || !strings.Contains(got, part)) {
				t.Errorf("%s for %q with token %q: %s\ngave %q, want %q", who.role, who.person, who.subject, step[0], got, step[1])
			}
		}
	}
}
