package webui

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

type loginView struct {
	Email, Password field
	Next            string
	Problem         *refusal
	Out             bool // just logged out
}

func newLogin(next, email string) loginView {
	return loginView{
		Email:    field{Name: "email", Label: "Email", Type: "email", Auto: "username", Value: email, Required: true},
		Password: field{Name: "password", Label: "Password", Type: "password", Auto: "current-password", Required: true},
		Next:     within(next),
	}
}

// within keeps a way back inside the console, so that a link to the login cannot send people elsewhere.
func within(next string) string {
	u, err := url.Parse(next)
	inside := err == nil && u.Scheme == "" && u.Host == "" && (u.Path == "/console" || strings.HasPrefix(u.Path, "/console/requests/"))
	if !inside || strings.HasSuffix(u.Path, "/events") || strings.Contains(next, `\`) {
		return "/console"
	}
	return u.RequestURI()
}

func (u *ui) loginPage(w http.ResponseWriter, r *http.Request) error {
	v := newLogin(r.URL.Query().Get("next"), "")
	v.Out = r.URL.Query().Has("out")
	return u.render(w, http.StatusOK, "login_form", frame{Title: "Log in", Class: "plain", View: v})
}

func (u *ui) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	v := newLogin(r.PostForm.Get("next"), r.PostForm.Get("email"))
	_, token, err := u.Service.Login(r.Context(), v.Email.Value, r.PostForm.Get("password"))
	var e *hub.Error
	switch {
	case err == nil:
		u.Cookies.Set(w, token)
		http.Redirect(w, r, v.Next, http.StatusSeeOther)
		return nil
	case errors.As(err, &e) && e.Code == hub.CodeUnauthenticated:
		v.Problem = &refusal{Code: string(e.Code), Message: e.Message, Fix: e.Fix}
		return u.render(w, http.StatusUnauthorized, "login_form", frame{Title: "Log in", Class: "plain", View: v})
	}
	return err
}

func (u *ui) logout(w http.ResponseWriter, r *http.Request) error {
	token := u.Cookies.Read(r)
	a, err := u.Service.SessionActor(r.Context(), token)
	if err == nil {
		err = u.Service.Logout(r.Context(), a, token)
	}
	if err != nil && !hub.IsCode(err, hub.CodeUnauthenticated) { // who is logged out already has what they want
		return err
	}
	u.Cookies.Clear(w)
	http.Redirect(w, r, "/console/login?out", http.StatusSeeOther)
	return nil
}

// operatorHandler serves a page of the console to whoever is logged in.
type operatorHandler func(w http.ResponseWriter, r *http.Request, a hub.Actor) error

// operator finds out who asks. Others get the login form in place of the page, and come back to it.
func (u *ui) operator(h operatorHandler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		a, err := u.Service.SessionActor(r.Context(), u.Cookies.Read(r))
		if hub.IsCode(err, hub.CodeUnauthenticated) && !strings.HasSuffix(r.URL.Path, "/events") {
			next, status := "", http.StatusOK
			if r.Method == http.MethodGet {
				next = r.URL.RequestURI()
			} else { // what was sent is not done, and must not look so
				status = http.StatusUnauthorized
			}
			return u.render(w, status, "login_form", frame{Title: "Log in", Class: "plain", View: newLogin(next, "")})
		}
		if err != nil {
			return err
		}
		return h(w, r.WithContext(web.WithActor(r.Context(), a)), a)
	}
}
