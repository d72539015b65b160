package webui

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages are the parsed templates by name ("status_page"), each with the layout and the shared parts.
type pages map[string]*template.Template

func parsePages(a assets) pages {
	funcs := template.FuncMap{
		"asset":  func(name string) string { return a.path[name] },
		"icon":   icon,
		"took":   took,
		"utc":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock":  func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"date":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04") },
		"state":  stateWord,
		"number": number,
	}
	base := template.Must(template.New("").Funcs(funcs).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	names, err := fs.Glob(templateFiles, "templates/*_*.html")
	if err != nil {
		panic(err)
	}
	out := pages{}
	for _, n := range names {
		t := template.Must(template.Must(base.Clone()).ParseFS(templateFiles, n))
		out[strings.TrimSuffix(path.Base(n), ".html")] = t
	}
	return out
}

// frame is what the layout shows around a page.
type frame struct {
	Title   string
	Class   string // of the body: "signup", "status", "console" …
	Actor   *hub.Actor
	Version string
	Refresh int // seconds; for browsers without JavaScript, 0 is never
	View    any
}

// handler serves one page; an error becomes a page in fail, the one place for that.
type handler func(w http.ResponseWriter, r *http.Request) error

func (u *ui) page(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", web.CSP)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "same-origin") // with no-referrer a form's Origin is null, which the guard refuses; pages with a token say otherwise
		head.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
		if err := h(w, r); err != nil {
			u.fail(w, r, err)
		}
	}
}

// render makes the whole page before it sends the first byte.
func (u *ui) render(w http.ResponseWriter, status int, name string, f frame) error {
	f.Version = u.Version
	body, err := u.execute(name, "layout", f)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a reader that went away is no error of ours
	return nil
}

func (u *ui) execute(page, part string, data any) ([]byte, error) {
	t, ok := u.pages[page]
	if !ok {
		return nil, fmt.Errorf("there is no page %q", page)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, part, data); err != nil {
		return nil, fmt.Errorf("page %s: %w", page, err)
	}
	return b.Bytes(), nil
}

// refusal is an error as pages show it.
type refusal struct {
	Code    string
	Message string
	Fix     string
	CallID  string // to quote when asking for help; only for troubles of ours
}

type errorPage struct {
	refusal
	Status int
}

// fail turns an error into a page. Strangers get a neutral sentence for what is not a refusal; the log sees all. The log names the route
// and never the address, which may hold a token.
func (u *ui) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody reads it any more
	}
	p := errorPage{refusal: u.refusal(r, err), Status: statusOf(err)}
	if u.Refuse != nil && !wantsHTML(r) {
		if p.Status == http.StatusRequestEntityTooLarge {
			err = hub.E(hub.CodeBodyTooLarge, p.Message, p.Fix)
		}
		u.Refuse(w, r, err)
		return
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	f := frame{Title: p.Message, Class: "plain", View: p}
	if err := u.render(w, p.Status, "error_page", f); err != nil {
		u.Log.ErrorContext(r.Context(), "the error page could not be rendered", "error", err)
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
	}
}

// refusal gives the words for an error, and logs what is not meant for strangers.
func (u *ui) refusal(r *http.Request, err error) refusal {
	var big *http.MaxBytesError
	var e *hub.Error
	switch {
	case errors.As(err, &big):
		return refusal{Code: string(hub.CodeBodyTooLarge), Message: "What was sent is larger than 1 MiB.", Fix: "Shorten it and send it again."}
	case errors.As(err, &e):
		if e.Cause != nil {
			u.Log.WarnContext(r.Context(), "a page was refused", "route", r.Pattern, "code", string(e.Code), "error", e.Cause)
		}
		return refusal{Code: string(e.Code), Message: e.Message, Fix: e.Fix}
	}
	u.Log.ErrorContext(r.Context(), "a page failed", "route", r.Pattern, "error", err)
	return refusal{
		Code: string(hub.CodeInternal), Message: "Something went wrong on our side.",
		Fix: "Try again; nothing that was acknowledged is lost.", CallID: web.RequestID(r.Context()),
	}
}

// statusOf is the HTTP status of an error on a page. Wrong fields are 422 here, since a form is always understood.
func statusOf(err error) int {
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return http.StatusRequestEntityTooLarge
	}
	switch hub.CodeOf(err) {
	case hub.CodeInternal:
		return http.StatusInternalServerError
	case hub.CodeUnavailable:
		return http.StatusServiceUnavailable
	case hub.CodeNotFound, hub.CodeQueueEmpty:
		return http.StatusNotFound
	case hub.CodeUnauthenticated, hub.CodeTOTPRequired:
		return http.StatusUnauthorized
	case hub.CodeForbidden, hub.CodeReauthenticationRequired:
		return http.StatusForbidden
	case hub.CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case hub.CodeRateLimited:
		return http.StatusTooManyRequests
	case hub.CodeCustomerExists, hub.CodeOperatorExists, hub.CodeAlreadyClaimed, hub.CodeInvalidTransition, hub.CodeAlreadyRevealed,
		hub.CodeIdempotencyInFlight, hub.CodeOperationInProgress:
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}

func wantsHTML(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }
