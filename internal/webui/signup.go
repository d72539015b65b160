package webui

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// planCard is a plan as a customer chooses it.
type planCard struct {
	ID, Name, Description string
	Monthly, Yearly       int
	Saving                int // per cent of twelve months, by paying for a year
	Automatic             bool
	Features              []featureChoice
	New                   []string // titles of what the plan has over the one before
	Over                  string   // name of the plan before
	Checked               bool
	Number                int // from 1, for the style that shows only the chosen plan's features; 0 beyond what it knows
}

// styledPlans is how many plans the style can tell apart; the features of further ones are always shown.
const styledPlans = 8

type featureChoice struct {
	Name, Title, Description string
	Checked                  bool
}

// field is one input with what is wrong about it. Its name is the JSON pointer of the same field in the API.
type field struct {
	Name, Label, Type, Value, Auto, Hint string
	Mode                                 string // of a phone's keyboard
	Required, Multiline, Half            bool
	Error                                *refusal
}

// ID is the name as an element's id.
func (f field) ID() string { return fieldID(f.Name) }

func fieldID(name string) string { return "f-" + strings.ReplaceAll(name, "/", "-") }

type signupView struct {
	Plans     []planCard
	PlanError *refusal
	Yearly    bool
	About     []field
	Billing   []field
	Open      bool // the optional part, when something in it was filled in or is wrong
	Features  *refusal
	Wrong     []wrongField
	Problem   *refusal // of the whole form
	Exists    bool     // the email has a place already
	Key       string   // makes a second click on the button harmless
}

// wrongField is a line of the summary above the form.
type wrongField struct{ ID, Text string }

func (u *ui) signupPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	in := hub.SignUp{Plan: q.Get("plan"), BillingCycle: q.Get("billing_cycle")}
	return u.render(w, http.StatusOK, "signup_form", frame{Title: "Sign up", Class: "signup", View: u.signupView(in, rand.Text(), nil)})
}

func (u *ui) signup(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	in, key := readSignUp(r.PostForm), r.PostForm.Get("key")
	to, err := u.signUpOnce(r.Context(), in, key, r.PostForm.Encode())
	if err == nil {
		http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // made by statusPath, kept sealed
		return nil
	}
	var e *hub.Error
	if !errors.As(err, &e) || e.Cause != nil {
		return err
	}
	view := u.signupView(in, rand.Text(), e)
	return u.render(w, statusOf(err), "signup_form", frame{Title: "Please check the form", Class: "signup", View: view})
}

const (
	againAfter = 100 * time.Millisecond
	againTries = 50 // five seconds: a first click that takes longer is told to be looked up
)

// signUpOnce signs up and gives where to go. The form's key makes a second click on the button lead to the same place: it gets the first
// one's answer, and waits for it where it must. What is typed is part of the key, so that a corrected form counts as a new one.
func (u *ui) signUpOnce(ctx context.Context, in hub.SignUp, key, typed string) (string, error) {
	if key == "" {
		s, err := u.Service.SignUp(ctx, in)
		return statusPath(s.StatusToken), err
	}
	for try := 1; ; try++ {
		receipt, before, err := u.Service.TakeReceipt(ctx, "form", "POST /signup", key+"\n"+typed, []byte(typed))
		switch {
		case hub.IsCode(err, hub.CodeIdempotencyInFlight) && try < againTries:
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(againAfter):
			}
			continue
		case err != nil:
			return "", err
		case before != nil:
			return before.Location, nil
		}
		receipt.Render = func(result any) (hub.Answer, error) {
			s, ok := result.(hub.SignedUp)
			if !ok {
				return hub.Answer{}, errors.New("a sign-up gave no place in the line")
			}
			return hub.Answer{Status: http.StatusCreated, Location: statusPath(s.StatusToken)}, nil
		}
		s, err := u.Service.SignUp(hub.WithReceipt(ctx, receipt), in)
		status := http.StatusCreated
		if err != nil {
			status = http.StatusBadRequest // frees the key: nothing happened that could happen twice
		}
		if end := u.Service.EndReceipt(context.WithoutCancel(ctx), receipt, hub.Answer{Status: status}); end != nil {
			u.Log.WarnContext(ctx, "a form's key could not be closed", "error", end)
		}
		return statusPath(s.StatusToken), err
	}
}

func statusPath(token string) string { return "/status/" + url.PathEscape(token) }

// formError says what is wrong with a body that is no form.
func formError(err error) error {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return err
	}
	return hub.E(hub.CodeInvalidField, "The form could not be read.", "Go back to the page and send it again.")
}

func readSignUp(f url.Values) hub.SignUp {
	in := hub.SignUp{
		Email: f.Get("email"), CompanyName: f.Get("company_name"), ContactName: f.Get("contact_name"), Phone: strings.TrimSpace(f.Get("phone")),
		Plan: f.Get("plan"), BillingCycle: f.Get("billing_cycle"),
		Billing: hub.Address{
			Street: f.Get("billing_address/street"), City: f.Get("billing_address/city"), State: f.Get("billing_address/state"),
			Zip: f.Get("billing_address/zip"), Country: f.Get("billing_address/country"),
		},
		ReferralSource: f.Get("referral_source"), SpecialRequirements: f.Get("special_requirements"),
	}
	// Each plan has boxes of its own, so that the form works without a script that would change them with the plan.
	if name := "features." + in.Plan; f.Has(name) {
		in.Features = f[name]
	} else if f.Has("features") {
		in.Features = f["features"]
	}
	return in
}

func (u *ui) signupView(in hub.SignUp, key string, e *hub.Error) signupView {
	v := signupView{Key: key, Yearly: in.BillingCycle == "yearly", Plans: planCards(u.Service.Catalog(), in)}
	a := in.Billing
	v.About = []field{
		{Name: "company_name", Label: "Company name", Value: in.CompanyName, Auto: "organization", Required: true},
		{Name: "contact_name", Label: "Your name", Value: in.ContactName, Auto: "name", Required: true},
		{Name: "email", Label: "Work email", Type: "email", Value: in.Email, Auto: "email", Required: true, Hint: "Your status link is sent here."},
		{Name: "phone", Label: "Phone", Type: "tel", Value: in.Phone, Auto: "tel"},
	}
	v.Billing = []field{
		{Name: "billing_address/street", Label: "Street", Value: a.Street, Auto: "billing street-address"},
		{Name: "billing_address/zip", Label: "Postal code", Value: a.Zip, Auto: "billing postal-code", Half: true},
		{Name: "billing_address/city", Label: "City", Value: a.City, Auto: "billing address-level2", Half: true},
		{Name: "billing_address/state", Label: "State or region", Value: a.State, Auto: "billing address-level1", Half: true},
		{Name: "billing_address/country", Label: "Country", Value: a.Country, Auto: "billing country-name", Half: true},
		{Name: "referral_source", Label: "How did you hear of us?", Value: in.ReferralSource},
		{Name: "special_requirements", Label: "Anything we should know?", Value: in.SpecialRequirements, Multiline: true},
	}
	v.Open = in.Billing != hub.Address{} || in.ReferralSource != "" || in.SpecialRequirements != ""
	if e != nil {
		v.mark(e)
	}
	return v
}

// mark puts each error beside its field.
func (v *signupView) mark(e *hub.Error) {
	wrong := e.Fields
	if len(wrong) == 0 && e.Field != "" {
		wrong = []*hub.Error{e}
	}
	if len(wrong) == 0 {
		v.Problem = &refusal{Code: string(e.Code), Message: e.Message, Fix: e.Fix}
	}
	for _, w := range wrong {
		v.markField(w)
	}
}

func (v *signupView) markField(w *hub.Error) {
	said := &refusal{Code: string(w.Code), Message: w.Message, Fix: w.Fix}
	if w.Code == hub.CodeCustomerExists {
		v.Exists = true
		said.Fix = "Open the status link in your mail, or ask for a fresh one."
	}
	id := fieldID(w.Field)
	switch {
	case w.Field == "plan" || w.Field == "billing_cycle":
		v.PlanError, id = said, "plans"
	case strings.HasPrefix(w.Field, "features"):
		v.Features, id = said, "features"
	default:
		fields := [][]field{v.About, v.Billing}
		for i, list := range fields {
			j := slices.IndexFunc(list, func(f field) bool { return f.Name == w.Field })
			if j < 0 {
				continue
			}
			inWords(said, w.Field, list[j].Label)
			list[j].Error = said
			v.Open = v.Open || i == 1
		}
	}
	v.Wrong = append(v.Wrong, wrongField{ID: id, Text: said.Message})
}

// inWords says the label people see instead of the field's name for programs.
func inWords(e *refusal, name, label string) {
	if name == "email" || name == "password" { // words of both
		return
	}
	e.Message = strings.Replace(e.Message, name, label, 1)
	e.Fix = strings.Replace(e.Fix, name, "“"+label+"”", 1)
}

func planCards(cat *hub.Catalog, in hub.SignUp) []planCard {
	cards := make([]planCard, 0, len(cat.Plans))
	var before []string
	for i, p := range cat.Plans {
		all, err := cat.Closure(p.Features)
		if err != nil { // a loaded catalog has no unknown feature
			all = p.Features
		}
		c := planCard{
			ID: p.ID, Name: p.Name, Description: p.Description, Monthly: p.PriceMonthly, Yearly: p.PriceYearly,
			Automatic: p.Provisioning == hub.Automatic, Checked: p.ID == in.Plan,
		}
		if i < styledPlans {
			c.Number = i + 1
		}
		if year := 12 * p.PriceMonthly; year > 0 && p.PriceYearly < year {
			c.Saving = 100 * (year - p.PriceYearly) / year
		}
		for _, name := range all {
			f, _ := cat.Feature(name)
			title := f.Title
			if title == "" {
				title = name
			}
			picked := p.ID != in.Plan || in.Features == nil || slices.Contains(in.Features, name)
			c.Features = append(c.Features, featureChoice{Name: name, Title: title, Description: f.Description, Checked: picked})
			if !slices.Contains(before, name) {
				c.New = append(c.New, title)
			}
		}
		if i > 0 && len(before)+len(c.New) == len(all) {
			c.Over = cat.Plans[i-1].Name
		} else {
			c.New = titles(c.Features)
		}
		before = all
		cards = append(cards, c)
	}
	if !slices.ContainsFunc(cards, func(c planCard) bool { return c.Checked }) && in.Plan == "" && len(cards) > 0 {
		cards[min(1, len(cards)-1)].Checked = true // a choice that is made is a form that is quicker to send
	}
	return cards
}

func titles(features []featureChoice) []string {
	out := make([]string, len(features))
	for i, f := range features {
		out[i] = f.Title
	}
	return out
}
