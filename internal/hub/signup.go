package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SignUp is what a company fills in.
type SignUp struct {
	Email               string
	CompanyName         string
	ContactName         string
	Plan                string
	Features            []string // nil: all of the plan
	Phone               string
	BillingCycle        string
	Billing             Address
	ReferralSource      string
	SpecialRequirements string
}

// SignedUp is a place in the line.
type SignedUp struct {
	Customer    Customer
	Request     Request
	Ahead       int
	Wait        Estimate
	StatusToken string
	StatusURL   string
}

// SignUp puts a company in the line: customer, request, audit entry and job in one transaction.
//
// Errors: every wrong field at once; CodeCustomerExists for an email with a live request.
func (s *Service) SignUp(ctx context.Context, in SignUp) (SignedUp, error) {
	cat := s.Catalog()
	plan, features, err := in.clean(cat)
	if err != nil {
		return SignedUp{}, err
	}
	o, err := s.outlook(ctx, plan.Provisioning, s.line.waiting(plan.Provisioning))
	if err != nil { // the line is worth more than a word about it
		s.log.WarnContext(ctx, "a sign-up goes without a forecast", "error", err)
	}
	return mutate(ctx, s, func(u *unit) (SignedUp, error) {
		now := u.Now()
		c, err := s.customerFor(ctx, u, in)
		if err != nil {
			return SignedUp{}, err
		}
		r := Request{
			ID: NewID("req_", now), CustomerID: c.ID, Plan: plan.ID, Features: features, Priority: plan.Priority, Way: plan.Provisioning,
			State: Pending, BillingCycle: in.BillingCycle, ReferralSource: in.ReferralSource, SpecialRequirements: in.SpecialRequirements,
			EnqueuedAt: now, UpdatedAt: now, Customer: CustomerRef{c.Email, c.CompanyName, c.ContactName},
		}
		if plan.SLASeconds > 0 {
			due := now.Add(time.Duration(plan.SLASeconds) * time.Second)
			r.OverdueAt = &due
		}
		ahead, err := s.aheadOnJoining(ctx, u, &r)
		if err != nil {
			return SignedUp{}, err
		}
		r.First = o.first(&r, ahead.SameWay)
		if err := u.InsertRequest(ctx, &r); err != nil {
			return SignedUp{}, err
		}
		token, hash := s.tokens.New("kst_")
		if err := u.PutStatusToken(ctx, hash, r.ID); err != nil {
			return SignedUp{}, err
		}
		if r.Way == Automatic {
			if err := s.jobs.EnqueueProvision(ctx, u, r.Key()); err != nil {
				return SignedUp{}, err
			}
		}
		if err := s.jobs.EnqueueMail(ctx, u, Mail{Kind: MailWelcome, RequestID: r.ID}); err != nil {
			return SignedUp{}, err
		}
		who := Actor{Kind: ByCustomer, ID: c.ID, Name: c.CompanyName}
		if err := u.audit(ctx, who, "request.create", r.ID, map[string]any{"plan": r.Plan, "features": r.Features, "priority": r.Priority}); err != nil {
			return SignedUp{}, err
		}
		u.touch(TopicLine)
		u.then(func() { s.meter.RequestCreated(r.Plan) })
		wait := Estimate{r.First.Start.P50, r.First.Start.P90, r.First.Basis}
		return SignedUp{Customer: *c, Request: r, Ahead: ahead.All, Wait: wait, StatusToken: token, StatusURL: s.statusURL(token)}, nil
	})
}

// CheckSignUp gives every wrong field of a sign-up without making it. The edge joins them with the fields that it could not decode.
func (s *Service) CheckSignUp(in SignUp) error {
	_, _, err := in.clean(s.Catalog())
	return err
}

func (s *Service) customerFor(ctx context.Context, u *unit, in SignUp) (*Customer, error) {
	c, err := u.CustomerByEmail(ctx, in.Email)
	switch {
	case err == nil:
		_, live, err := u.LiveRequest(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		if live {
			return nil, CustomerExists()
		}
		// Signed up before and cancelled: the same customer as they describe themselves now, and a new request.
		c.CompanyName, c.ContactName, c.Phone, c.Billing = in.CompanyName, in.ContactName, in.Phone, in.Billing
		return c, u.UpdateCustomer(ctx, c)
	case IsCode(err, CodeNotFound):
		c = &Customer{
			ID: NewID("cus_", u.Now()), Email: in.Email, CompanyName: in.CompanyName, ContactName: in.ContactName,
			Phone: in.Phone, Billing: in.Billing, CreatedAt: u.Now(),
		}
		return c, u.InsertCustomer(ctx, c)
	}
	return nil, err
}

// CustomerExists refuses a second live request of one email.
func CustomerExists() *Error {
	return FieldError(CodeCustomerExists, "email", "This email already has a place in the line or a running tenant.",
		"Use the status link you were given, or ask for a fresh one at /api/v1/status/lookup.")
}

// clean normalizes and checks every field; it gives the plan and the resolved features.
func (in *SignUp) clean(cat *Catalog) (Plan, []string, error) {
	var wrong []*Error
	add := func(e *Error) {
		if e != nil {
			wrong = append(wrong, e)
		}
	}
	in.Email = NormalizeEmail(in.Email)
	in.CompanyName, in.ContactName = strings.TrimSpace(in.CompanyName), strings.TrimSpace(in.ContactName)
	in.Plan, in.BillingCycle = strings.TrimSpace(in.Plan), strings.TrimSpace(in.BillingCycle)
	add(checkEmail(in.Email))
	add(checkRequired("company_name", in.CompanyName))
	add(checkRequired("contact_name", in.ContactName))
	plan, ok := cat.Plan(in.Plan)
	switch {
	case in.Plan == "":
		add(FieldError(CodeMissingField, "plan", "plan is needed.", "Choose one of: "+planIDs(cat)+"."))
	case !ok:
		add(FieldError(CodeUnknownPlan, "plan", fmt.Sprintf("There is no plan %q.", shorten(in.Plan)), "Choose one of: "+planIDs(cat)+"."))
	}
	features, bad := chosenFeatures(cat, plan, ok, in.Features)
	wrong = append(wrong, bad...)
	add(checkText("phone", in.Phone, 50, false))
	if in.BillingCycle == "" {
		in.BillingCycle = "monthly"
	}
	if in.BillingCycle != "monthly" && in.BillingCycle != "yearly" {
		add(FieldError(CodeInvalidField, "billing_cycle", "billing_cycle is neither monthly nor yearly.", "Use monthly or yearly."))
	}
	for _, f := range []struct{ name, text string }{
		{"billing_address/street", in.Billing.Street},
		{"billing_address/city", in.Billing.City},
		{"billing_address/state", in.Billing.State},
		{"billing_address/zip", in.Billing.Zip},
		{"billing_address/country", in.Billing.Country},
		{"referral_source", in.ReferralSource},
	} {
		add(checkText(f.name, f.text, maxName, false))
	}
	add(checkText("special_requirements", in.SpecialRequirements, maxText, true))
	sortFields(wrong)
	return plan, features, asList(wrong)
}

// chosenFeatures resolves the customer's choice within the plan: with dependencies and core.
func chosenFeatures(cat *Catalog, plan Plan, known bool, chosen []string) (features []string, wrong []*Error) {
	var allowed []string
	if known {
		var err error
		if allowed, err = cat.Closure(plan.Features); err != nil {
			return nil, []*Error{FieldError(CodeUnknownFeature, "plan", err.Error(), "Run kitshub catalog lint.")}
		}
	}
	if chosen == nil {
		return allowed, nil
	}
	for i, name := range chosen {
		field := fmt.Sprintf("features/%d", i)
		switch _, ok := cat.Feature(name); {
		case !ok:
			wrong = append(wrong, FieldError(CodeUnknownFeature, field, fmt.Sprintf("There is no feature %q.", shorten(name)), "See /api/v1/features for what there is."))
		case known && !slices.Contains(allowed, name):
			wrong = append(wrong, FieldError(CodeFeatureNotInPlan, field, fmt.Sprintf("The plan %s does not include %s.", plan.Name, name), "Leave it out, or choose a plan that has it."))
		}
	}
	if len(wrong) > 0 || !known {
		return nil, wrong
	}
	features, err := cat.Closure(chosen)
	if err != nil {
		return nil, []*Error{FieldError(CodeUnknownFeature, "features", err.Error(), "See /api/v1/features for what there is.")}
	}
	return features, nil
}

func planIDs(cat *Catalog) string {
	ids := make([]string, len(cat.Plans))
	for i, p := range cat.Plans {
		ids[i] = p.ID
	}
	return strings.Join(ids, ", ")
}

// shorten keeps messages readable whatever was sent.
func shorten(s string) string {
	if r := []rune(s); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return s
}
