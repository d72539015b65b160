package webui

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// bringView is the forms by which an operator brings a database. Secrets that were typed are not sent back.
type bringView struct {
	ID     string // of the request
	Ways   []bringWay
	Trial  *trialView
	Open   bool
	Chosen string // provider whose form was sent
}

// bringWay is one provider's form.
type bringWay struct {
	Provider, Title, About string
	Fields                 []field
	Open                   bool
}

// trialView is what came of trying a database.
type trialView struct {
	Good    bool
	Place   string
	Checks  []trialCheck
	Problem *refusal
	Wrong   []*hub.Error // the fields, where several are wrong
}

type trialCheck struct {
	hub.Check
	Took string
}

func trialChecks(checks []hub.Check) []trialCheck {
	out := make([]trialCheck, len(checks))
	for i, c := range checks {
		out[i] = trialCheck{c, took(c.Took)}
	}
	return out
}

// bringForms describes the forms; what a provider takes besides, the API says.
func bringForms() []bringWay {
	return []bringWay{
		{
			Provider: "manual", Title: "A Postgres database", About: "Version 15 or newer, empty, and owned by its user. It is tested before anything is kept.",
			Fields: []field{{
				Name: "connection_string", Label: "Connection string", Type: "password", Auto: "off", Required: true,
				Hint: "postgres://user:password@host:5432/database?sslmode=require",
			}},
		},
		{
			Provider: "supabase", Title: "A Supabase project", About: "A project with an empty schema public. All of it is in the project's settings.",
			Fields: []field{
				{Name: "project_ref", Label: "Project reference", Auto: "off", Required: true, Half: true},
				{Name: "region", Label: "Region", Auto: "off", Half: true, Hint: "As in eu-central-1; needed where the hub has no IPv6."},
				{Name: "project_url", Label: "Project URL", Type: "url", Auto: "off", Required: true},
				{Name: "anon_key", Label: "Anon or publishable key", Type: "password", Auto: "off", Required: true},
				{Name: "service_role_key", Label: "Service role or secret key", Type: "password", Auto: "off", Required: true},
				{Name: "database_password", Label: "Database password", Type: "password", Auto: "off", Required: true},
			},
		},
	}
}

// bringView makes the forms for who may give credentials now; nil for others.
func (u *ui) bringView(v requestView) *bringView {
	have := u.Service.BroughtProviders()
	if !v.Row.Can.Give || len(have) == 0 {
		return nil
	}
	b := &bringView{ID: v.Request.ID}
	for _, w := range bringForms() {
		if slices.Contains(have, w.Provider) {
			b.Ways = append(b.Ways, w)
		}
	}
	return b
}

// typed puts back what was typed and is no secret, and each error beside its field; it gives what concerns no field.
func (b *bringView) typed(f url.Values, err error) (rest error) {
	rest = err
	for i := range b.Ways {
		w := &b.Ways[i]
		if w.Provider != f.Get("provider") {
			continue
		}
		b.Open, w.Open, b.Chosen = true, true, w.Provider
		for j := range w.Fields {
			x := &w.Fields[j]
			if x.Type != "password" {
				x.Value = f.Get(x.Name)
			}
			if said := wordsAbout(err, *x); said != nil {
				x.Error, rest = said, nil
			}
		}
	}
	return rest
}

// wordsAbout gives what an error says about one field.
func wordsAbout(err error, f field) *refusal {
	var e *hub.Error
	if !errors.As(err, &e) {
		return nil
	}
	i := slices.IndexFunc(e.Fields, func(w *hub.Error) bool { return w.Field == f.Name })
	if i < 0 {
		return nil
	}
	said := &refusal{Code: string(e.Fields[i].Code), Message: e.Fields[i].Message, Fix: e.Fields[i].Fix}
	inWords(said, f.Name, f.Label)
	return said
}

// offerOf reads the form. A field that is empty was not given.
func offerOf(f url.Values) hub.Offer {
	o := hub.Offer{Provider: f.Get("provider"), Given: map[string]string{}}
	for _, w := range bringForms() {
		for _, x := range w.Fields {
			if v := f.Get(x.Name); strings.TrimSpace(v) != "" {
				o.Given[x.Name] = v
			}
		}
	}
	return o
}

// checksOf are how far a trial came that was refused.
func checksOf(err error) []hub.Check {
	var e *hub.Error
	if !errors.As(err, &e) {
		return nil
	}
	checks, _ := e.Details["checks"].([]hub.Check)
	return checks
}

// giveCredentials takes the word of who makes the backend, or a database that is brought.
func (u *ui) giveCredentials(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
	return u.change("credentials", func(r *http.Request, a hub.Actor) error {
		_, _, err := u.Service.GiveCredentials(r.Context(), a, r.PathValue("id"), offerOf(r.PostForm))
		return err
	})(w, r, a)
}

// testConnection tries a database and shows what came of it: beside the form where a script asks for that part alone, else on the page.
func (u *ui) testConnection(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	t, err := u.Service.TestConnection(r.Context(), a, offerOf(r.PostForm), r.PathValue("id"))
	var e *hub.Error
	if err != nil && !errors.As(err, &e) {
		return err
	}
	v := trialView{Good: err == nil}
	if err == nil {
		v.Place, v.Checks = t.Place, trialChecks(t.Checks)
	} else {
		said := u.refusal(r, err)
		v.Problem, v.Checks = &said, trialChecks(checksOf(err))
		if len(e.Fields) > 1 {
			v.Problem, v.Wrong = &refusal{Code: said.Code, Message: "Some fields need a look:"}, e.Fields
		}
	}
	if r.Header.Get("X-Part") != "trial" {
		return u.showRequest(w, r, a, err, func(page *requestView) {
			if page.Bring != nil {
				page.Bring.Trial, page.Problem = &v, nil
			}
		})
	}
	body, rerr := u.execute("console_request", "trial", v)
	if rerr != nil {
		return rerr
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Part", "trial")
	_, _ = w.Write(body) // a reader that went away is no error of ours
	return nil
}

// bring shows what came of a form of bringView.
func (v *requestView) bring(f url.Values, err error) (rest error) {
	if v.Bring == nil || f == nil {
		return err
	}
	rest = v.Bring.typed(f, err)
	if checks := checksOf(err); len(checks) > 0 {
		said := refusal{}
		var e *hub.Error
		if errors.As(err, &e) {
			said = refusal{Code: string(e.Code), Message: e.Message, Fix: e.Fix}
		}
		v.Bring.Trial = &trialView{Problem: &said, Checks: trialChecks(checks)}
	}
	return rest
}
