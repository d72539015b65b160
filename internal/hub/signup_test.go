package hub_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

func testNow() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func good() hub.SignUp {
	return hub.SignUp{Email: "a@example.com", CompanyName: "Acme", ContactName: "Jo", Plan: "pro"}
}

// fieldsOf gives the wrong fields with their codes, in order.
func fieldsOf(t testing.TB, err error) (out []string) {
	t.Helper()
	var e *hub.Error
	if err == nil {
		return nil
	}
	if !errors.As(err, &e) {
		t.Fatalf("not a refusal: %v", err)
	}
	if len(e.Fields) == 0 || e.Code != e.Fields[0].Code {
		t.Fatalf("the top code %s is not the first field's: %+v", e.Code, e)
	}
	for _, f := range e.Fields {
		if f.Message == "" || f.Fix == "" {
			t.Errorf("%s %s does not say what is wrong and what to do", f.Field, f.Code)
		}
		out = append(out, f.Field+" "+string(f.Code))
	}
	return out
}

// TestSignUpChecksEverythingAtOnce, in the contract's order.
func TestSignUpChecksEverythingAtOnce(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t)) // rules know no engine
	long := strings.Repeat("é", 201)
	for name, c := range map[string]struct {
		change func(*hub.SignUp)
		want   []string
	}{
		"nothing": {func(s *hub.SignUp) { *s = hub.SignUp{} }, []string{
			"email MISSING_EMAIL", "company_name MISSING_FIELD", "contact_name MISSING_FIELD", "plan MISSING_FIELD",
		}},
		"blanks": {func(s *hub.SignUp) { s.Email, s.CompanyName, s.ContactName, s.Plan = " \t", "  ", "\n", " " }, []string{
			"email MISSING_EMAIL", "company_name MISSING_FIELD", "contact_name MISSING_FIELD", "plan MISSING_FIELD",
		}},
		"all wrong": {func(s *hub.SignUp) {
			*s = hub.SignUp{
				Email: "nobody", CompanyName: long, ContactName: "a\x07", Plan: "gold", Features: []string{"none", "crm"}, Phone: long, BillingCycle: "weekly",
				Billing:        hub.Address{Street: "\x00", City: long, State: "\x1b", Zip: "\x7f", Country: "\u0085"},
				ReferralSource: "\n", SpecialRequirements: "\x00",
			}
		}, []string{
			"email INVALID_EMAIL_FORMAT", "company_name INVALID_FIELD", "contact_name INVALID_FIELD", "plan UNKNOWN_PLAN", "features/0 UNKNOWN_FEATURE",
			"phone INVALID_FIELD", "billing_cycle INVALID_FIELD", "billing_address/street INVALID_FIELD", "billing_address/city INVALID_FIELD",
			"billing_address/state INVALID_FIELD", "billing_address/zip INVALID_FIELD", "billing_address/country INVALID_FIELD",
			"referral_source INVALID_FIELD", "special_requirements INVALID_FIELD",
		}},
		"features": {func(s *hub.SignUp) { s.Features = []string{"crm", "hr", "", "none", "core"} }, []string{
			"features/1 FEATURE_NOT_IN_PLAN", "features/2 UNKNOWN_FEATURE", "features/3 UNKNOWN_FEATURE",
		}},
		"not UTF-8":           {func(s *hub.SignUp) { s.CompanyName, s.Email = "a\xff", "a\xff@example.com" }, []string{"email INVALID_EMAIL_FORMAT", "company_name INVALID_FIELD"}},
		"names of 200 fit":    {func(s *hub.SignUp) { s.CompanyName = long[2:] }, nil},
		"what people type":    {func(s *hub.SignUp) { s.CompanyName, s.ContactName = `<b>O'Neil & "Söhne"</b>`, "Анна 👩‍👧" }, nil},
		"lines where allowed": {func(s *hub.SignUp) { s.SpecialRequirements = "a\r\n\tb" }, nil},
		"too long a wish":     {func(s *hub.SignUp) { s.SpecialRequirements = strings.Repeat("x", 2001) }, []string{"special_requirements INVALID_FIELD"}},
		"a plan in capitals":  {func(s *hub.SignUp) { s.Plan = "PRO" }, []string{"plan UNKNOWN_PLAN"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := good()
			in.Email = hub.NewID("a", testNow()) + "@example.com"
			c.change(&in)
			_, err := r.SignUp(t.Context(), in)
			equal(t, "wrong fields", fieldsOf(t, err), c.want)
		})
	}
	counts := hubtest.Get(r, func(ctx context.Context, tx hub.Tx) (hub.Counts, error) { return tx.Counts(ctx, testNow(), true) })
	equal(t, "requests made", counts.Pending, [3]int{0, 3, 0})
}

// TestFeatures: the choice comes with core and what it needs, each after what it needs; without a choice it is all of the plan.
func TestFeatures(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	for name, c := range map[string]struct {
		plan   string
		chosen []string
		want   []string
	}{
		"all of the plan":                       {"enterprise", nil, []string{"core", "hr", "inventory", "sales", "crm"}},
		"one with needs":                        {"enterprise", []string{"crm"}, []string{"core", "inventory", "sales", "crm"}},
		"none":                                  {"pro", []string{}, []string{"core"}},
		"twice the same":                        {"pro", []string{"sales", "sales", "core"}, []string{"core", "inventory", "sales"}},
		"what is pulled in is part of the plan": {"pro", []string{"inventory"}, []string{"core", "inventory"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := good()
			in.Email, in.Plan, in.Features = hub.NewID("a", testNow())+"@example.com", c.plan, c.chosen
			s, err := r.SignUp(t.Context(), in)
			fine(t, err)
			equal(t, "features", s.Request.Features, c.want)
			equal(t, "as kept", r.Row(s.Request.ID).Features, c.want)
		})
	}
}

// TestSignUp: customer, request, token, jobs and audit entry in one.
func TestSignUp(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		in := good()
		in.Email, in.CompanyName, in.Billing = "  Jo.Müller@Exämple.COM\n", "  Acme  ", hub.Address{City: "Köln"}
		s, err := r.SignUp(t.Context(), in)
		fine(t, err)
		equal(t, "email", s.Customer.Email, "jo.müller@exämple.com")
		equal(t, "company", s.Customer.CompanyName, "Acme")
		row := r.Row(s.Request.ID)
		equal(t, "row", row, func() *hub.Request { q := s.Request; q.Version = 1; return &q }())
		equal(t, "overdue after the plan's promise", row.OverdueAt.Sub(row.EnqueuedAt), time.Hour)
		equal(t, "billing", row.BillingCycle, "monthly")
		equal(t, "url", s.StatusURL, "https://hub.example/status/"+s.StatusToken)
		equal(t, "jobs", r.Jobs.Take(), []hubtest.Job{
			{Kind: "provision", ID: row.ID, Key: row.Key()}, {Kind: "mail", ID: row.ID, Mail: hub.Mail{Kind: hub.MailWelcome, RequestID: row.ID}},
		})
		equal(t, "audit log", r.Log(row.ID), []string{"request.create"})
		equal(t, "metric", r.Meter.Created, 1)
		equal(t, "nobody works", s.Wait.Basis, forecast.Unknown)
		st, err := r.StatusOf(t.Context(), s.StatusToken)
		fine(t, err)
		equal(t, "position", []int{st.Position, st.Ahead}, []int{1, 0})

		op := r.Join("op@example.com", "enterprise")
		equal(t, "an operator's has only its mail", len(r.Jobs.Take()), 1)
		equal(t, "ahead of the urgent one", op.Ahead, 0)
		for _, bad := range []string{"", "kst_none", "\x00"} {
			_, err := r.StatusOf(t.Context(), bad)
			wantCode(t, err, hub.CodeUnauthenticated)
		}
	})
}

// TestOneLiveRequest: an email has one live request whatever comes at once; after a cancelled one it may sign up again, as the same customer.
func TestOneLiveRequest(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		for round := range 3 {
			ids := make([]hub.SignedUp, 6)
			won := -1
			for i, err := range atOnce(len(ids), func(i int) (err error) { ids[i], err = r.SignUp(t.Context(), good()); return err }) {
				if err == nil {
					if won >= 0 {
						t.Fatal("two were let in")
					}
					won = i
					continue
				}
				wantCode(t, err, hub.CodeCustomerExists)
			}
			if won < 0 {
				t.Fatal("nobody was let in")
			}
			equal(t, "metric", r.Meter.Created, round+1)
			again := good()
			again.Email = " A@EXAMPLE.com"
			_, err := r.SignUp(t.Context(), again)
			wantCode(t, err, hub.CodeCustomerExists)
			_, err = r.CancelByCustomer(t.Context(), ids[won].StatusToken)
			fine(t, err)
		}
		first, err := r.SignUp(t.Context(), good())
		fine(t, err)
		_, err = r.CancelByCustomer(t.Context(), first.StatusToken)
		fine(t, err)
		second, err := r.SignUp(t.Context(), good())
		fine(t, err)
		equal(t, "customer", second.Customer.ID, first.Customer.ID)
	})
}

// TestEmails is the contract's rule: trimmed, lower-cased, a domain with a dot, no control characters.
func TestEmails(t *testing.T) {
	t.Parallel()
	r := hubtest.New(t, hubtest.SQLite(t))
	for _, email := range []string{
		"a@b.co", "first.last+tag@sub.example.co.uk", "o'neil@example.com", "x_y-z@1and1.de", "ünïcode@exämple.com", "用户@例子.广告",
		"a!#$%&*/=?^`{|}~@example.com", strings.Repeat("a", 60) + "@" + strings.Repeat("b", 60) + ".com",
	} {
		in := good()
		in.Email = email
		if _, err := r.SignUp(t.Context(), in); err != nil {
			t.Errorf("%q is refused: %v", email, err)
		}
	}
	for _, email := range []string{
		"a", "@", "a@", "@b.co", "a@b", "a@localhost", "a@b.", "a@.b", "a@b..co", ".a@b.co", "a.@b.co", "a..b@b.co", "a@@b.co", "a@b@c.co", "a b@c.co",
		"a@b c.co", "a@b.co\x00", "a\n@b.co", "a@b.co\nBcc: x@y.z", "a\u0085@b.co", "a\u00a0b@c.co", "a\u2028@b.co", `"a b"@c.co`, `"a"@c.co`, "Jo <a@b.co>",
		"<a@b.co>", "a@b.co, c@d.co", "a@b.co;c@d.co", "a(comment)@b.co", "a@[127.0.0.1]", "a@-b.co", "a@b-.co", "a@b_c.co", "a@b.co/", "a@b.co:25", `a\@b.co`,
		strings.Repeat("a", 255) + "@b.co", "a@" + strings.Repeat("b.", 200) + "co", "a\xff@b.co",
	} {
		in := good()
		in.Email = email
		_, err := r.SignUp(t.Context(), in)
		if !hub.IsCode(err, hub.CodeInvalidEmailFormat) {
			t.Errorf("%q: %v", email, err)
		}
	}
}

// TestAgainAfterCancel: the same customer, as they describe themselves now, found by the new name and not by the old.
func TestAgainAfterCancel(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		first := r.Join("again@example.com", "starter")
		_, err := r.CancelByCustomer(t.Context(), first.StatusToken)
		fine(t, err)
		in := good()
		in.Email, in.CompanyName, in.ContactName = "again@example.com", "Neue Firma", "Jo Neu"
		second, err := r.SignUp(t.Context(), in)
		fine(t, err)
		equal(t, "customer", second.Customer.ID, first.Customer.ID)
		equal(t, "name", r.Row(second.Request.ID).Customer, hub.CustomerRef{Email: "again@example.com", CompanyName: "Neue Firma", ContactName: "Jo Neu"})
		found, err := r.ListRequests(t.Context(), hub.RequestFilter{Query: "NEUE", Limit: 10}, false)
		fine(t, err)
		equal(t, "requests found by the new name", len(found), 2)
	})
}
