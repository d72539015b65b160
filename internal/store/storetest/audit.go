package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

func auditEntry(id, target string) *hub.AuditEntry {
	return &hub.AuditEntry{
		ID: id, At: at(time.Microsecond), ActorKind: hub.ByPerson, ActorID: "opr_1", ActorName: "O'Neil 🚀", Action: "request.claim", Target: target,
		Detail: map[string]any{"text": nasty["quotes"], "n": 1.5, "list": []any{"a", nil, true}, "no": nil}, RequestID: "call-1",
	}
}

func appendAudit(t *testing.T, s hub.Store, es ...*hub.AuditEntry) {
	t.Helper()
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		for _, e := range es {
			if err := tx.AppendAudit(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func listAudit(t *testing.T, s hub.Store, target, before string, n int) []*hub.AuditEntry {
	t.Helper()
	return get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.AuditEntry, error) {
		return tx.ListAudit(ctx, target, before, n)
	})
}

func auditLog(t *testing.T, s hub.Store) {
	equal(t, "at first", len(listAudit(t, s, "", "", 10)), 0)
	a := auditEntry("aud_1", "req_1")
	bare := &hub.AuditEntry{ID: "aud_2", At: base, ActorKind: hub.ByHub, Action: "x", Target: "req_2"}
	appendAudit(t, s, a, bare)
	bare.Detail = map[string]any{} // nothing is an empty object
	equal(t, "all, newest first", listAudit(t, s, "", "", 10), []*hub.AuditEntry{bare, a})
	equal(t, "of one target", listAudit(t, s, "req_1", "", 10), []*hub.AuditEntry{a})
	equal(t, "of a target that no row can hold", len(listAudit(t, s, "\x00", "", 10)), 0)
	ctx := ctxOf(t)
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.AppendAudit(ctx, a) }); err == nil {
		t.Error("one id was kept twice")
	}
	if err := s.Write(ctx, func(tx hub.Tx) error {
		return tx.AppendAudit(ctx, &hub.AuditEntry{ID: "aud_3", At: base, Detail: map[string]any{"f": func() {}}})
	}); err == nil {
		t.Error("a detail that is no JSON was kept")
	}
}

func auditPages(t *testing.T, s hub.Store) {
	var odd, all []string
	for i := range 11 {
		e := auditEntry(fmt.Sprintf("aud_%02d", i), fmt.Sprintf("req_%d", i%2))
		appendAudit(t, s, e)
		all = append(all, e.ID)
		if i%2 == 1 {
			odd = append(odd, e.ID)
		}
	}
	slices.Reverse(all)
	slices.Reverse(odd)
	for target, want := range map[string][]string{"": all, "req_1": odd, "req_9": nil} {
		for _, n := range []int{1, 2, 3, 5, 11, 12} {
			var got []string
			before := ""
			for {
				page := listAudit(t, s, target, before, n)
				for _, e := range page {
					got = append(got, e.ID)
				}
				if len(page) < n {
					break
				}
				before = page[n-1].ID
			}
			equal(t, fmt.Sprintf("pages of %d of %q", n, target), got, want)
		}
	}
}
