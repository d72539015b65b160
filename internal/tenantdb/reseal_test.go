package tenantdb_test

import (
	"database/sql"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

// A database of the pool goes to one tenant, whoever else reaches for it, and saying it again changes nothing.
func TestReseal(t *testing.T) {
	onEach(t, func(t *testing.T, d hub.Dialect, open func() *sql.DB) {
		db, tenant := open(), newDB()
		member, mine, theirs := someone, someone, someone
		member.TenantID, mine.TenantID, theirs.TenantID = "mem_1", "ten_1", "ten_2"
		if err := tenant.Identify(t.Context(), db, d, member); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := tenant.Reseal(t.Context(), db, d, member, mine); err != nil {
				t.Fatal(err)
			}
		}
		forged := mine
		forged.MAC = "00"
		for _, from := range []hub.Identity{member, forged} {
			wantRefusal(t, tenant.Reseal(t.Context(), db, d, from, theirs), hub.ClassData, "", 0)
		}
		if got, _, err := tenant.ReadIdentity(t.Context(), db, d); err != nil || got != mine {
			t.Errorf("the identity is %+v, %v", got, err)
		}
		exec(t, db, "DELETE FROM kitshub_identity")
		wantRefusal(t, tenant.Reseal(t.Context(), db, d, member, mine), hub.ClassData, "", 0)
	})
}
