package webui

import (
	"errors"
	"net/http"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

type setupView struct {
	Path    string
	Fields  []field
	Problem *refusal
}

func newSetup(token, email, name string) setupView {
	return setupView{Path: "/setup/" + token, Fields: []field{
		{Name: "name", Label: "Your name", Auto: "name", Value: name, Required: true},
		{Name: "email", Label: "Email", Type: "email", Auto: "username", Value: email, Required: true, Hint: "You log in with it."},
		{
			Name: "password", Label: "Password", Type: "password", Auto: "new-password", Required: true,
			Hint: "At least 15 characters. A few words that only you would put together are better than a short puzzle.",
		},
	}}
}

// mark puts each error beside its field; the password's criteria share one.
func (v *setupView) mark(e *hub.Error) {
	wrong := e.Fields
	if len(wrong) == 0 {
		wrong = []*hub.Error{e}
	}
	for _, w := range wrong {
		placed := false
		for i := range v.Fields {
			f := &v.Fields[i]
			isPassword := f.Name == "password" && strings.Contains(string(w.Code), "PASSWORD")
			if f.Name != w.Field && !isPassword {
				continue
			}
			placed = true
			said := &refusal{Code: string(w.Code), Message: w.Message, Fix: w.Fix}
			inWords(said, f.Name, f.Label)
			if f.Error != nil {
				said.Message = f.Error.Message + " " + said.Message
			}
			f.Error = said
			break
		}
		if !placed {
			v.Problem = &refusal{Code: string(w.Code), Message: w.Message, Fix: w.Fix}
		}
	}
}

func (u *ui) setupPage(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	token := r.PathValue("token")
	ok, err := u.Service.SetupValid(r.Context(), token)
	if err != nil {
		return err
	}
	if !ok {
		return setupGone()
	}
	return u.render(w, http.StatusOK, "setup_form", frame{Title: "Make the first admin", Class: "plain", View: newSetup(token, "", "")})
}

func setupGone() error {
	return hub.E(hub.CodeNotFound, "This setup link is not valid (any more).",
		"If there is an operator already, log in at the console. Else start the hub again: it prints a fresh link, good for 30 minutes.")
}

func (u *ui) setup(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	token := r.PathValue("token")
	in := hub.NewOperator{Email: r.PostForm.Get("email"), Name: r.PostForm.Get("name"), Password: r.PostForm.Get("password")}
	_, err := u.Service.SetUp(r.Context(), token, in)
	var e *hub.Error
	switch {
	case hub.IsCode(err, hub.CodeNotFound):
		return setupGone()
	case errors.As(err, &e) && e.Cause == nil:
		v := newSetup(token, in.Email, in.Name)
		v.mark(e)
		return u.render(w, statusOf(err), "setup_form", frame{Title: "Please check the form", Class: "plain", View: v})
	case err != nil:
		return err
	}
	_, session, err := u.Service.Login(r.Context(), in.Email, in.Password)
	if err != nil {
		return err
	}
	u.Cookies.Set(w, session)
	http.Redirect(w, r, "/console?done=setup", http.StatusSeeOther)
	return nil
}
