package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// full is a request in which every stored field says something.
func full(r *hub.Request) {
	r.Plan, r.Features, r.Priority, r.Way, r.State = "enterprise", []string{"core", "crm", "hr"}, 2, hub.ByOperator, hub.Failed
	r.AssignedTo, r.TenantID, r.Notes = "opr_x", "ten_x", "a note"
	r.BillingCycle, r.ReferralSource, r.SpecialRequirements = "yearly", "a friend", "by friday"
	r.EnqueuedAt, r.UpdatedAt = at(time.Microsecond), at(2*time.Microsecond)
	r.ClaimedAt, r.CredentialsAt, r.StartedAt = ref(at(3*time.Microsecond)), ref(at(4*time.Microsecond)), ref(at(5*time.Microsecond))
	r.FinishedAt, r.OverdueAt = ref(at(6*time.Microsecond)), ref(at(7*time.Microsecond))
	r.Failure = &hub.Failure{Step: "crm/0001", Class: hub.ClassCatalog, Code: "42P07", File: "crm/0001.sql", Line: 7, Cause: "c", Action: "a", Customer: "u", Tries: 3}
	r.Worker, r.Fence = "ins_x", 1<<40
}

func requestRoundTrip(t *testing.T, s hub.Store) {
	for name, set := range map[string]func(*hub.Request){
		"bare":        func(*hub.Request) {},
		"full":        full,
		"no features": func(r *hub.Request) { r.Features = nil },
		"an old time": func(r *hub.Request) { r.EnqueuedAt = time.Date(1999, 12, 31, 23, 59, 59, 999999000, time.UTC) },
		"a time in another zone": func(r *hub.Request) {
			r.EnqueuedAt = r.EnqueuedAt.In(time.FixedZone("", 3*3600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			want := add(t, s, set)
			if want.Features == nil {
				want.Features = []string{}
			}
			want.EnqueuedAt = want.EnqueuedAt.UTC()
			equal(t, "version after insert", want.Version, int64(1))
			for how, fn := range map[string]func(context.Context, hub.Tx) (*hub.Request, error){
				"Request":     func(ctx context.Context, tx hub.Tx) (*hub.Request, error) { return tx.Request(ctx, want.ID) },
				"LockRequest": func(ctx context.Context, tx hub.Tx) (*hub.Request, error) { return tx.LockRequest(ctx, want.ID) },
				"LiveRequest": func(ctx context.Context, tx hub.Tx) (*hub.Request, error) {
					r, found, err := tx.LiveRequest(ctx, want.CustomerID)
					equal(t, "found", found, true)
					return r, err
				},
			} {
				write(t, s, func(ctx context.Context, tx hub.Tx) error {
					got, err := fn(ctx, tx)
					equal(t, how, got, want)
					return err
				})
			}
		})
	}
}

// nasty are texts that people type, and some that only tests do.
var nasty = map[string]string{
	"umlauts":       "Müller & Söhne GmbH, Straße 1",
	"quotes":        `O'Neil "the" \ boss; DROP TABLE requests; --`,
	"markup":        "<b>&amp;</b>",
	"like":          "100%_!sure\\",
	"four bytes":    "𝔘nicode 🚀👩‍👩‍👧",
	"newlines":      "a\nb\r\nc\td",
	"right to left": "שלום עולם",
	"spaces":        "  kept  ",
	"placeholder":   "$1 ? :x @y %s {{.}}",
	"json":          `{"a":[null,"\u0000"]}`,
	"combining":     "e\u0301 is not \u00e9",
}

func textsSurvive(t *testing.T, s hub.Store) {
	for name, text := range nasty {
		t.Run(name, func(t *testing.T) {
			c := newCustomer()
			c.CompanyName, c.ContactName, c.Phone = text, text, text
			c.Billing = hub.Address{Street: text, City: text, State: text, Zip: text, Country: text}
			r := newRequest(c, func(r *hub.Request) {
				full(r)
				r.Notes, r.ReferralSource, r.SpecialRequirements, r.Features = text, text, text, []string{text}
				r.Failure.Cause = text
			})
			write(t, s, func(ctx context.Context, tx hub.Tx) error {
				return errors.Join(tx.InsertCustomer(ctx, c), tx.InsertRequest(ctx, r))
			})
			equal(t, "request", request(t, s, r.ID), r)
			equal(t, "customer", get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Customer, error) { return tx.CustomerByEmail(ctx, c.Email) }), c)
		})
	}
}

func requestUpdate(t *testing.T, s hub.Store) {
	before := add(t, s)
	want := *before
	full(&want)
	// What an update leaves alone: that which was decided at sign-up.
	want.Plan, want.Features, want.Way, want.OverdueAt, want.EnqueuedAt = before.Plan, before.Features, before.Way, nil, before.EnqueuedAt
	want.BillingCycle, want.ReferralSource, want.SpecialRequirements = before.BillingCycle, "", ""
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.UpdateRequest(ctx, &want) })
	equal(t, "version after update", want.Version, int64(2))
	equal(t, "updated", request(t, s, want.ID), &want)

	stale := *before // still of version 1
	stale.Notes = "from yesterday"
	ctx := ctxOf(t)
	err := s.Write(ctx, func(tx hub.Tx) error { return tx.UpdateRequest(ctx, &stale) })
	if !errors.Is(err, hub.ErrConflict) {
		t.Fatalf("a stale write gave %v", err)
	}
	equal(t, "version of the loser", stale.Version, int64(1))
	equal(t, "after the stale write", request(t, s, want.ID), &want)

	back := want
	back.State, back.AssignedTo, back.TenantID, back.Notes, back.Failure, back.Worker = hub.Pending, "", "", "", nil, ""
	back.ClaimedAt, back.CredentialsAt, back.StartedAt, back.FinishedAt = nil, nil, nil, nil
	write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.UpdateRequest(ctx, &back) })
	equal(t, "emptied again", request(t, s, want.ID), &back)
}

func oneLiveRequest(t *testing.T, s hub.Store) {
	for _, state := range hub.States {
		t.Run(string(state), func(t *testing.T) {
			r := add(t, s, func(r *hub.Request) { r.State = state })
			c := &hub.Customer{ID: r.CustomerID, Email: r.Customer.Email, CompanyName: r.Customer.CompanyName, ContactName: r.Customer.ContactName}
			second := newRequest(c)
			ctx := ctxOf(t)
			err := s.Write(ctx, func(tx hub.Tx) error { return tx.InsertRequest(ctx, second) })
			if state != hub.Cancelled {
				wantCode(t, err, hub.CodeCustomerExists)
				second = r
			} else if err != nil {
				t.Fatalf("after a cancelled one: %v", err)
			}
			read(t, s, func(ctx context.Context, tx hub.Tx) error {
				live, found, err := tx.LiveRequest(ctx, r.CustomerID)
				equal(t, "found", found, true)
				equal(t, "live request", live.ID, second.ID)
				return err
			})
		})
	}
	t.Run("same email", func(t *testing.T) {
		c := newCustomer()
		write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.InsertCustomer(ctx, c) })
		other := newCustomer()
		other.Email = c.Email
		ctx := ctxOf(t)
		wantCode(t, s.Write(ctx, func(tx hub.Tx) error { return tx.InsertCustomer(ctx, other) }), hub.CodeCustomerExists)
	})
	t.Run("none", func(t *testing.T) {
		r := add(t, s, func(r *hub.Request) { r.State = hub.Cancelled })
		read(t, s, func(ctx context.Context, tx hub.Tx) error {
			_, found, err := tx.LiveRequest(ctx, r.CustomerID)
			equal(t, "found", found, false)
			return err
		})
	})
}

func oneLiveRequestContested(t *testing.T, s hub.Store) {
	const n = 8
	for _, known := range []bool{true, false} { // the customer was there before, or comes with the sign-up
		c := newCustomer()
		if known {
			write(t, s, func(ctx context.Context, tx hub.Tx) error { return tx.InsertCustomer(ctx, c) })
		}
		ctx := ctxOf(t)
		won := 0
		for _, err := range together(n, func(int) error {
			return s.Write(ctx, func(tx hub.Tx) error {
				mine := *c
				if !known {
					mine.ID = id("cus_")
					if err := tx.InsertCustomer(ctx, &mine); err != nil {
						return err
					}
				}
				return tx.InsertRequest(ctx, newRequest(&mine))
			})
		}) {
			if err == nil {
				won++
			} else {
				wantCode(t, err, hub.CodeCustomerExists)
			}
		}
		equal(t, "winners", won, 1)
		l := get(t, s, func(ctx context.Context, tx hub.Tx) ([]*hub.Request, error) {
			return tx.ListRequests(ctx, hub.RequestFilter{Query: c.Email})
		})
		equal(t, "requests kept", len(l), 1)
	}
}

func unknownRequest(t *testing.T, s hub.Store) {
	add(t, s)
	for _, id := range []string{"req_none", "", "' OR 1=1 --", "a\x00b", "\xff\xfe", "🚀"} {
		for name, fn := range map[string]func(context.Context, hub.Tx) error{
			"Request":         func(ctx context.Context, tx hub.Tx) error { _, err := tx.Request(ctx, id); return err },
			"LockRequest":     func(ctx context.Context, tx hub.Tx) error { _, err := tx.LockRequest(ctx, id); return err },
			"CustomerByEmail": func(ctx context.Context, tx hub.Tx) error { _, err := tx.CustomerByEmail(ctx, id); return err },
			"RequestByStatusToken": func(ctx context.Context, tx hub.Tx) error {
				_, err := tx.RequestByStatusToken(ctx, []byte(id))
				return err
			},
			"Tenant":          func(ctx context.Context, tx hub.Tx) error { _, err := tx.Tenant(ctx, id); return err },
			"LockTenant":      func(ctx context.Context, tx hub.Tx) error { _, err := tx.LockTenant(ctx, id); return err },
			"Operator":        func(ctx context.Context, tx hub.Tx) error { _, err := tx.Operator(ctx, id); return err },
			"OperatorByEmail": func(ctx context.Context, tx hub.Tx) error { _, err := tx.OperatorByEmail(ctx, id); return err },
			"Operation":       func(ctx context.Context, tx hub.Tx) error { _, err := tx.Operation(ctx, id); return err },
			"Session":         func(ctx context.Context, tx hub.Tx) error { _, err := tx.Session(ctx, []byte(id)); return err },
			"APITokenByHash":  func(ctx context.Context, tx hub.Tx) error { _, err := tx.APITokenByHash(ctx, []byte(id)); return err },
		} {
			ctx := ctxOf(t)
			err := s.Write(ctx, func(tx hub.Tx) error { return fn(ctx, tx) })
			if !hub.IsCode(err, hub.CodeNotFound) {
				t.Errorf("%s of %q gave %v", name, id, err)
			}
		}
	}
}

func statusToken(t *testing.T, s hub.Store) {
	r, other := add(t, s), add(t, s)
	write(t, s, func(ctx context.Context, tx hub.Tx) error {
		return errors.Join(
			tx.PutStatusToken(ctx, []byte{0, 1, 0xff}, r.ID),
			tx.PutStatusToken(ctx, []byte{0, 1, 0xfe}, r.ID), // older links stay valid
			tx.PutStatusToken(ctx, []byte("x"), other.ID))
	})
	for hash, want := range map[string]*hub.Request{"\x00\x01\xff": r, "\x00\x01\xfe": r, "x": other} {
		got := get(t, s, func(ctx context.Context, tx hub.Tx) (*hub.Request, error) {
			return tx.RequestByStatusToken(ctx, []byte(hash))
		})
		equal(t, "request of the token", got, want)
	}
	ctx := ctxOf(t)
	if err := s.Write(ctx, func(tx hub.Tx) error { return tx.PutStatusToken(ctx, []byte("y"), "req_none") }); err == nil {
		t.Error("a token for no request was kept")
	}
}

// impossibleRequest: what the rules never write, the schema refuses.
func impossibleRequest(t *testing.T, s hub.Store) {
	for name, set := range map[string]func(*hub.Request){
		"priority":              func(r *hub.Request) { r.Priority = 3 },
		"state":                 func(r *hub.Request) { r.State, r.AssignedTo = "lost", "x" },
		"way":                   func(r *hub.Request) { r.Way = "magic" },
		"pending and assigned":  func(r *hub.Request) { r.AssignedTo = "opr_x" },
		"claimed by nobody":     func(r *hub.Request) { r.State, r.AssignedTo = hub.InProgress, "" },
		"customer that is none": func(r *hub.Request) { r.CustomerID = "cus_none" },
	} {
		ctx := ctxOf(t)
		var made string
		err := s.Write(ctx, func(tx hub.Tx) error {
			c := newCustomer()
			if err := tx.InsertCustomer(ctx, c); err != nil {
				return err
			}
			r := newRequest(c)
			set(r)
			made = r.ID
			return tx.InsertRequest(ctx, r)
		})
		if err == nil {
			t.Errorf("%s: kept", name)
		}
		gone(t, s, made)
	}
}
