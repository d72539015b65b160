package webui

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// done says what was just done. The address carries only the key, so that no link can put words into the hub's mouth.
var done = map[string]string{
	"claim":       "Claimed: it is in your hands now.",
	"release":     "Released: it is back in the line, at its old place.",
	"retry":       "Taken up again.",
	"cancel":      "Cancelled.",
	"credentials": "The backend is chosen. The steps below show how far it is.",
	"notes":       "Notes saved.",
	"empty":       "Nobody is waiting.",
	"setup":       "Welcome: you are the first admin. The setup link works no more.",
}

// requestView is one request as operators see it.
type requestView struct {
	Row       row
	Status    statusView // the part customers see too
	Request   hub.Request
	Features  []string // titles
	Tenant    *hub.Tenant
	Providers []string
	Failure   *hub.Failure
	Steps     []stepView
	Audit     []auditLine
	Done      string
	Problem   *refusal
	Feed      string
	MayWork   bool
	Notes     string // as saved, or as typed when saving was refused
	Brings    bool   // whether databases can be brought to this hub
	Bring     *bringView
}

type auditLine struct {
	*hub.AuditEntry
	Words string
}

const auditShown = 12 // entries; the whole log has its own place

func (u *ui) requestPage(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
	return u.showRequest(w, r, a, nil)
}

// showRequest shows a request, with why something that was asked for was refused; each of then changes what is shown.
func (u *ui) showRequest(w http.ResponseWriter, r *http.Request, a hub.Actor, problem error, then ...func(*requestView)) error {
	v, err := u.requestView(r.Context(), a, r.PathValue("id"))
	if err != nil {
		return err
	}
	v.Done = done[r.URL.Query().Get("done")]
	status := http.StatusOK
	v.Bring = u.bringView(v)
	if rest := v.bring(r.PostForm, problem); problem != nil {
		status = statusOf(problem)
		if said := u.refusal(r, problem); rest != nil {
			v.Problem = &said
		}
		if typed, ok := r.PostForm["text"]; ok {
			v.Notes = strings.Join(typed, "\n")
		}
	}
	for _, f := range then {
		f(&v)
	}
	return u.render(w, status, "console_request", frame{Title: v.Row.Company, Class: "console", Actor: &a, View: v})
}

func (u *ui) requestEvents(w http.ResponseWriter, r *http.Request, _ hub.Actor) error {
	id, session := r.PathValue("id"), u.Cookies.Read(r)
	return u.stream(w, r, part{own: id, life: consoleLife, make: func(ctx context.Context) (piece, error) {
		a, err := u.Service.SessionActor(ctx, session)
		if err != nil {
			return piece{}, err
		}
		v, err := u.requestView(ctx, a, id)
		if err != nil {
			return piece{}, err
		}
		body, err := u.execute("console_request", "live", v)
		return piece{html: body, line: v.Request.State == hub.Pending}, err
	}})
}

func (u *ui) requestView(ctx context.Context, a hub.Actor, id string) (requestView, error) {
	st, err := u.Service.StatusByID(ctx, id)
	if err != nil {
		return requestView{}, err
	}
	r := st.Request
	v := requestView{
		Row: u.row(&r, a, st.AsOf), Status: u.statusView(st, ""), Request: r, Notes: r.Notes, Providers: u.Service.ProviderNames(), MayWork: a.Rank != hub.Support,
		Feed: "/console/requests/" + url.PathEscape(id) + "/events",
	}
	v.Row.Place, v.Brings = st.Position, len(u.Service.BroughtProviders()) > 0
	if r.State == hub.Failed {
		v.Failure = r.Failure
	}
	v.Steps = stepLines(st.Steps)
	for _, name := range r.Features {
		title := name
		if f, ok := u.Service.Catalog().Feature(name); ok && f.Title != "" {
			title = f.Title
		}
		v.Features = append(v.Features, title)
	}
	if r.TenantID != "" {
		if v.Tenant, err = u.Service.Tenant(ctx, r.TenantID); err != nil {
			return v, err
		}
	}
	v.Audit, err = u.auditOf(ctx, id, r.TenantID)
	return v, err
}

// stepLines shows operators each step for itself, with the cause rather than what customers are told.
func stepLines(steps []hub.StepRecord) []stepView {
	out := make([]stepView, len(steps))
	for i, s := range steps {
		out[i] = joined([]hub.StepRecord{s})
		if s.Failure != nil {
			out[i].Error = s.Failure.Cause
		}
	}
	return out
}

// auditOf gives the newest entries about the request and its tenant.
func (u *ui) auditOf(ctx context.Context, ids ...string) ([]auditLine, error) {
	var out []auditLine
	for _, id := range ids {
		if id == "" {
			continue
		}
		entries, err := u.Service.Audit(ctx, id, "", auditShown)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			out = append(out, auditLine{e, auditWords(e)})
		}
	}
	slices.SortStableFunc(out, func(a, b auditLine) int { return b.At.Compare(a.At) })
	return out[:min(len(out), auditShown)], nil
}

// auditWords says what an entry is about, beyond its action.
func auditWords(e *hub.AuditEntry) string {
	for _, key := range []string{"code", "step", "provider", "plan"} {
		if s, ok := e.Detail[key].(string); ok && s != "" {
			return s
		}
	}
	return ""
}

// act makes the handler of a move: back to where one was when it went well, the page with the reason when it was refused.
func (u *ui) act(name string, move func(context.Context, hub.Actor, string) (*hub.Request, error)) operatorHandler {
	return u.change(name, func(r *http.Request, a hub.Actor) error {
		_, err := move(r.Context(), a, r.PathValue("id"))
		return err
	})
}

func (u *ui) setNotes(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
	return u.change("notes", func(r *http.Request, a hub.Actor) error {
		_, err := u.Service.SetNotes(r.Context(), a, r.PathValue("id"), r.PostForm.Get("text"))
		return err
	})(w, r, a)
}

// change does something to one request. Where the form came from the line (it has "from"), one goes back there.
func (u *ui) change(name string, do func(*http.Request, hub.Actor) error) operatorHandler {
	return func(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
		if err := r.ParseForm(); err != nil {
			return formError(err)
		}
		path, q := "/console/requests/"+url.PathEscape(r.PathValue("id")), url.Values{}
		line := r.PostForm.Has("from")
		var f lineFilter
		if line {
			from, err := url.ParseQuery(r.PostForm.Get("from"))
			if err != nil {
				from = url.Values{}
			}
			f = readFilter(from)
			path, q = "/console", f.values()
		}
		err := do(r, a)
		var e *hub.Error
		switch {
		case err == nil:
			q.Set("done", name)
			http.Redirect(w, r, address(path, q), http.StatusSeeOther) //nolint:gosec // one of our two paths, its parts escaped
			return nil
		case !errors.As(err, &e) || e.Code == hub.CodeNotFound:
			return err
		case line:
			return u.showLine(w, r, a, f, err)
		}
		return u.showRequest(w, r, a, err)
	}
}

func (u *ui) claimNext(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
	next, err := u.Service.ClaimNext(r.Context(), a)
	switch {
	case hub.IsCode(err, hub.CodeQueueEmpty):
		http.Redirect(w, r, "/console?done=empty", http.StatusSeeOther)
		return nil
	case hub.IsCode(err, hub.CodeForbidden):
		return u.showLine(w, r, a, readFilter(nil), err)
	case err != nil:
		return err
	}
	http.Redirect(w, r, "/console/requests/"+url.PathEscape(next.ID)+"?done=claim", http.StatusSeeOther)
	return nil
}

func (u *ui) revealTenant(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
	req, err := u.Service.Request(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	v := credentialsView{Company: req.Customer.CompanyName, Back: "/console/requests/" + url.PathEscape(req.ID)}
	c, err := u.Service.Reveal(r.Context(), a, req.TenantID)
	if err != nil {
		return u.showRequest(w, r, a, err)
	}
	v.URL, v.Env = c.URL, sortedEnv(c)
	return u.render(w, http.StatusOK, "status_credentials", frame{Title: "Connection details", Class: "plain", Actor: &a, View: v})
}
