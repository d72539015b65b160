package catalog_test

import (
	"context"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/catalog"
)

// TestBuiltinRulesOnSQLite works with an enterprise database as a company would: what the schema promises to keep, it keeps.
func TestBuiltinRulesOnSQLite(t *testing.T) {
	c, err := catalog.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	enterprise, _ := c.Plan("enterprise")
	db := openMemory(t)
	apply(t, db, c, enterprise.Features)
	for _, step := range []struct{ sql, refused string }{ // in order; refused is part of the error, or empty
		{`INSERT INTO people (id, name, email) VALUES ('ann', 'Ann', 'ann@example.org'), ('bob', 'Bob', NULL)`, ""},
		{`INSERT INTO people (name, email) VALUES ('Ann again', 'ann@example.org')`, "UNIQUE"},
		{`INSERT INTO people (name, email) VALUES ('Shouting', 'ANN@example.org')`, "CHECK"},
		{`INSERT INTO person_roles (person_id, role_id) VALUES ('ann', 'king')`, "FOREIGN KEY"},
		{`UPDATE people SET created_at = '2020-01-01', updated_at = '2020-01-01' WHERE id = 'bob'`, ""},
		{`UPDATE people SET phone = '1' WHERE id = 'bob'`, ""},

		{`INSERT INTO items (id, sku, name, currency, reorder_level) VALUES ('apple', 'A1', 'Apple', 'EUR', 5)`, ""},
		{`INSERT INTO items (sku, name, currency) VALUES ('A2', 'Pear', 'euro')`, "CHECK"},
		{`INSERT INTO items (sku, name, currency, price_minor) VALUES ('A2', 'Pear', 'EUR', 'much')`, "cannot store TEXT"},
		{`INSERT INTO stock_movements (item_id, location_id, quantity, reason) VALUES ('apple', 'loc_main', 10, 'opening'), ('apple', 'loc_main', -7, 'sale')`, ""},
		{`UPDATE stock_movements SET quantity = 1`, "append-only"},
		{`DELETE FROM stock_movements`, "append-only"},
		{`DELETE FROM items`, "FOREIGN KEY"},

		{`INSERT INTO register_shifts (id, register_id, opened_by, opened_at, currency) VALUES ('shift', 'reg_main', 'ann', '2026-03-01T08:00:00Z', 'EUR')`, ""},
		{`INSERT INTO register_shifts (register_id, opened_by, opened_at, currency) VALUES ('reg_main', 'bob', '2026-03-01T09:00:00Z', 'EUR')`, "UNIQUE"},
		{`UPDATE register_shifts SET closed_at = '2026-03-01T18:00:00Z'`, "CHECK"},
		{`INSERT INTO sales (id, number, shift_id, status, sold_by, sold_at, currency, total_minor, tax_minor) VALUES ('s1', '1', 'shift', 'paid', 'ann', '2026-03-01T10:00:00Z', 'EUR', 700, 112)`, ""},
		{`INSERT INTO sales (number, shift_id, kind, refund_of, status, sold_by, sold_at, currency, total_minor) VALUES ('2', 'shift', 'refund', 's1', 'paid', 'ann', '2026-03-01T11:00:00Z', 'EUR', 100)`, ""},
		{`INSERT INTO sales (number, shift_id, kind, refund_of, sold_by, sold_at, currency) VALUES ('3', 'shift', 'sale', 's1', 'ann', '2026-03-01T11:00:00Z', 'EUR')`, "CHECK"},

		{`INSERT INTO fiscal_periods (id, name, first_day, last_day) VALUES ('y', '2026', '2026-01-01', '2026-12-31')`, ""},
		{`INSERT INTO fiscal_periods (name, first_day, last_day) VALUES ('odd', '2027-01-01', '31.12.2027')`, "CHECK"},
		{`INSERT INTO journal_entries (id, number, entry_date, period_id, currency, posted_at) VALUES ('e0', '0', '2026-03-01', 'y', 'EUR', '2026-03-02')`, "draft"},
		{`INSERT INTO journal_entries (id, number, entry_date, period_id, currency) VALUES ('e1', '1', '2026-03-01', 'y', 'EUR')`, ""},
		{`INSERT INTO journal_lines (entry_id, line_number, account_id, debit_minor) VALUES ('e1', 1, 'acc_1010', 700)`, ""},
		{`UPDATE journal_entries SET posted_at = '2026-03-02'`, "balance"},
		{`INSERT INTO journal_lines (entry_id, line_number, account_id, debit_minor, credit_minor) VALUES ('e1', 2, 'acc_4010', 1, 1)`, "CHECK"},
		{`INSERT INTO journal_lines (entry_id, line_number, account_id, credit_minor) VALUES ('e1', 2, 'acc_4010', 700)`, ""},
		{`UPDATE journal_entries SET memo = 'still a draft'`, ""},
		{`UPDATE journal_entries SET posted_at = '2026-03-02'`, ""},
		{`UPDATE journal_entries SET memo = 'changed'`, "never changes"},
		{`UPDATE journal_lines SET debit_minor = 1`, "never changes"},
		{`DELETE FROM journal_lines`, "never changes"},
		{`DELETE FROM journal_entries`, "never changes"},
		{`INSERT INTO journal_lines (entry_id, line_number, account_id, credit_minor) VALUES ('e1', 3, 'acc_4010', 1)`, "never changes"},
		{`UPDATE fiscal_periods SET closed_at = '2027-01-10', closed_by = 'ann'`, ""},
		{`INSERT INTO journal_entries (id, number, entry_date, period_id, currency) VALUES ('e2', '2', '2026-03-01', 'y', 'EUR')`, ""},
		{`INSERT INTO journal_lines (entry_id, line_number, account_id, debit_minor, credit_minor) VALUES ('e2', 1, 'acc_1010', 5, 0), ('e2', 2, 'acc_4010', 0, 5)`, ""},
		{`UPDATE journal_entries SET posted_at = '2027-01-11' WHERE id = 'e2'`, "closed"},
		{`DELETE FROM journal_entries WHERE id = 'e2'`, ""},

		{`INSERT INTO activity_log (action) VALUES ('looked')`, ""},
		{`DELETE FROM activity_log`, "append-only"},
	} {
		_, err := db.ExecContext(context.Background(), step.sql)
		switch {
		case step.refused == "" && err != nil:
			t.Fatalf("%s: %v", step.sql, err)
		case step.refused != "" && (err == nil || !strings.Contains(err.Error(), step.refused)):
			t.Errorf("%s: got %v, want a refusal with %q", step.sql, err, step.refused)
		}
	}
	for query, want := range map[string]string{
		`SELECT quantity FROM stock_levels WHERE item_id = 'apple' AND location_id = 'loc_main'`:   "3",
		`SELECT sku || ' ' || quantity FROM items_to_reorder`:                                      "A1 3",
		`SELECT day || ' ' || receipts || ' ' || total_minor || ' ' || tax_minor FROM daily_sales`: "2026-03-01 2 600 112",
		`SELECT updated_at > '2026' AND created_at = '2020-01-01' FROM people WHERE id = 'bob'`:    "1",
		`SELECT count(*) FROM journal_lines`:                                                       "2",
	} {
		if got := strings.Join(texts(t, db, query), ","); got != want {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
	}
}
