package webui

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

// statusView is what the waiting customer sees.
type statusView struct {
	Path               string // of this page, with its token
	Company, Plan      string
	State              hub.State
	Final              bool
	Tone               string // wait, work, good, bad, off: colour and icon
	Headline, Lead     string
	RetryAt            *time.Time // when the hub tries again by itself
	Position, Ahead    int
	AheadWords         string
	Starts, Ready      string // forecasts in words, or empty
	Basis              string
	Stages             []stage
	Steps              []stepView
	Done, Total        int
	SignedUp           time.Time
	Since              string // how long ago or how long it took
	CanCancel          bool
	CanReveal, WasSeen bool
}

// stage is one of the four stations of every request.
type stage struct {
	Label string
	Mark  string // done, now, todo, bad
	At    *time.Time
}

// stepView is one step, or several that follow one another under one title.
type stepView struct {
	Title  string
	Status hub.StepStatus
	Parts  int
	At     *time.Time
	Took   string
	Error  string
	Name   string // of a single step, for operators
	Tries  int
}

func (u *ui) statusPage(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	st, err := u.statusOf(r.Context(), w, token)
	if err != nil {
		return u.badLink(w, err)
	}
	v := u.statusView(st, token)
	f := frame{Title: v.Headline, Class: "status", View: v}
	if !v.Final {
		f.Refresh = 3
	}
	return u.render(w, http.StatusOK, "status_page", f)
}

// statusOf reads the status and forbids the browser to tell anybody the address.
func (u *ui) statusOf(ctx context.Context, w http.ResponseWriter, token string) (hub.Status, error) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	return u.Service.StatusOf(ctx, token)
}

func (u *ui) statusEvents(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	st, err := u.statusOf(r.Context(), w, token)
	if err != nil {
		return err
	}
	last := st
	return u.stream(w, r, part{own: st.Request.ID, make: func(ctx context.Context) (piece, error) {
		st, err := u.Service.StatusOf(ctx, token)
		if err != nil {
			return piece{}, err
		}
		v := u.statusView(st, token)
		why := wentBack[hub.WentBack(last, st)]
		last = st
		body, err := u.execute("status_page", "live", v)
		return piece{html: body, why: why, line: v.State == hub.Pending, last: v.Final}, err
	}})
}

// badLink is for a token that is malformed, unknown or expired, all alike; other errors go on.
func (u *ui) badLink(w http.ResponseWriter, err error) error {
	if !hub.IsCode(err, hub.CodeUnauthenticated) {
		return err
	}
	v := lookupView{BadLink: true, Email: field{Name: "email", Label: "Work email", Type: "email", Auto: "email", Required: true}}
	return u.render(w, http.StatusNotFound, "status_lookup", frame{Title: "This status link is not valid", Class: "plain", View: v})
}

func (u *ui) statusView(st hub.Status, token string) statusView {
	r := st.Request
	v := statusView{
		Path: statusPath(token), Company: r.Customer.CompanyName, Plan: r.Plan, State: r.State, Final: r.State.Final(),
		Position: st.Position, Ahead: st.Ahead, SignedUp: r.EnqueuedAt, Steps: group(st.Steps),
		CanCancel: slices.Contains([]hub.State{hub.Pending, hub.InProgress, hub.CredentialsReceived, hub.Failed}, r.State),
		CanReveal: r.State == hub.Completed && !st.Revealed, WasSeen: r.State == hub.Completed && st.Revealed,
	}
	if p, ok := u.Service.Catalog().Plan(r.Plan); ok {
		v.Plan = p.Name
	}
	p := hub.ProgressOf(st.Steps)
	v.Done, v.Total = p.Completed, p.Total
	v.say(st)
	v.Stages = stages(&r)
	return v
}

// say puts the state into words: what is so, and what comes next.
func (v *statusView) say(st hub.Status) {
	r := st.Request
	if r.FinishedAt != nil {
		v.Since = took(r.FinishedAt.Sub(r.EnqueuedAt))
	}
	switch r.State {
	case hub.Pending:
		v.Tone, v.Headline = "wait", "You are in line"
		switch st.Ahead {
		case 0:
			v.AheadWords = "Nobody is ahead of you: yours is next."
		default:
			v.AheadWords = plural(st.Ahead, "company is", "companies are") + " ahead of you."
		}
		v.forecast(st)
	case hub.InProgress:
		v.Tone, v.Headline, v.Lead = "work", "It is your turn", "One of us has your request in hand and is preparing your database."
		if r.AssignedTo == hub.AutoAssignee {
			v.Lead = "Your database is being prepared."
		}
		v.forecast(st)
	case hub.CredentialsReceived, hub.Migrating:
		v.Tone, v.Headline, v.Lead = "work", "Setting up your database", "Every step is checked. You can close this page; we will mail you."
		v.forecast(st)
	case hub.Completed:
		v.Tone, v.Headline = "good", "Your database is ready"
		v.Lead = "We opened it, wrote to it, read it back and left no trace. It is yours."
	case hub.Failed:
		v.Tone, v.Headline, v.Lead = "bad", "This takes longer than it should", st.Reason
		if f := r.Failure; f != nil && f.RetryAt != nil {
			v.Tone, v.Headline, v.RetryAt = "work", "A short delay", f.RetryAt
		}
	case hub.Cancelled:
		v.Tone, v.Headline, v.Lead = "off", "You left the line", "Nothing is kept running for you. You can sign up again at any time."
	}
}

func (v *statusView) forecast(st hub.Status) {
	if st.Ready.Basis == forecast.Unknown {
		if st.Request.State == hub.Pending {
			v.Lead = strings.TrimSpace("No forecast can be given right now. " + st.Reason)
		}
		return
	}
	v.Ready, v.Basis = spanInWords(st.Ready.P50, st.Ready.P90), basis(st.Ready.Basis)
	if st.Request.State == hub.Pending && st.Wait.Basis != forecast.Unknown {
		v.Starts = spanInWords(st.Wait.P50, st.Wait.P90)
	}
	if st.Request.State != hub.Pending && st.Ready.P90 <= 0 {
		v.Ready, v.Basis = "any moment; it takes longer than most", ""
	}
}

// stages lays a request's way out as four stations.
func stages(r *hub.Request) []stage {
	at := map[hub.State]int{hub.Pending: 1, hub.InProgress: 2, hub.CredentialsReceived: 2, hub.Migrating: 2, hub.Completed: 4}
	now, known := at[r.State]
	if !known { // failed or cancelled: where it stood
		now = 1
		if r.ClaimedAt != nil {
			now = 2
		}
	}
	signed := r.EnqueuedAt
	out := []stage{{Label: "Signed up", At: &signed}, {Label: "In line", At: r.ClaimedAt}, {Label: "Set up"}, {Label: "Ready"}}
	if r.State == hub.Completed {
		out[2].At, out[3].At = r.StartedAt, r.FinishedAt
	}
	for i := range out {
		switch {
		case i < now:
			out[i].Mark = "done"
		case i == now && (r.State == hub.Cancelled || r.State == hub.Failed && (r.Failure == nil || r.Failure.RetryAt == nil)):
			out[i].Mark = "bad"
		case i == now:
			out[i].Mark = "now"
		default:
			out[i].Mark = "todo"
		}
	}
	return out
}

// group joins steps that follow one another under one title: a customer does not care in how many files a feature is written.
func group(steps []hub.StepRecord) []stepView {
	var out []stepView
	for i := 0; i < len(steps); {
		j := i + 1
		for j < len(steps) && steps[j].Title == steps[i].Title {
			j++
		}
		out = append(out, joined(steps[i:j]))
		i = j
	}
	return out
}

// joined makes one view of some steps; the state that tells most wins.
func joined(steps []hub.StepRecord) stepView {
	v := stepView{Title: steps[0].Title, Name: steps[0].Name, Parts: len(steps), Tries: steps[0].Tries}
	count := map[hub.StepStatus]int{}
	var spent time.Duration
	for _, s := range steps {
		count[s.Status]++
		if s.StartedAt != nil && v.At == nil {
			v.At = s.StartedAt
		}
		if s.StartedAt != nil && s.FinishedAt != nil && s.Status == hub.StepDone {
			spent += s.FinishedAt.Sub(*s.StartedAt)
		}
		if s.Failure != nil && v.Error == "" {
			v.Error = s.Failure.Customer
		}
	}
	switch {
	case count[hub.StepFailed] > 0:
		v.Status = hub.StepFailed
	case count[hub.StepDone] == len(steps):
		v.Status, v.Took = hub.StepDone, took(spent)
		if spent == 0 { // it came with the copy of a finished database, and was only checked
			v.Took = "ready-made"
		}
	case count[hub.StepRunning] > 0 || count[hub.StepDone] > 0:
		v.Status = hub.StepRunning
	default:
		v.Status = hub.StepPending
	}
	return v
}

func (u *ui) cancelPage(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	st, err := u.statusOf(r.Context(), w, token)
	if err != nil {
		return u.badLink(w, err)
	}
	v := u.statusView(st, token)
	if !v.CanCancel {
		http.Redirect(w, r, v.Path, http.StatusSeeOther)
		return nil
	}
	return u.render(w, http.StatusOK, "status_cancel", frame{Title: "Leave the line?", Class: "plain", View: v})
}

func (u *ui) cancel(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Referrer-Policy", "no-referrer")
	token := r.PathValue("token")
	_, err := u.Service.CancelByCustomer(r.Context(), token)
	// Where it moved on in the meantime, its page says better than an error what is so now.
	if err != nil && !hub.IsCode(err, hub.CodeInvalidTransition) {
		return u.badLink(w, err)
	}
	http.Redirect(w, r, statusPath(token), http.StatusSeeOther) //nolint:gosec // below /status, escaped
	return nil
}

type credentialsView struct {
	Company string
	Back    string
	URL     string
	Env     []variable
	Seen    bool // given before
	Once    bool // will not be shown again
}

type variable struct{ Name, Value string }

// sortedEnv gives the variables as a shell reads them.
func sortedEnv(c hub.Credentials) []variable {
	env := make([]variable, 0, len(c.Env))
	for k, v := range c.Env {
		env = append(env, variable{k, quoted(v)})
	}
	sortVariables(env)
	return env
}

func sortVariables(v []variable) {
	slices.SortFunc(v, func(a, b variable) int { return strings.Compare(a.Name, b.Name) })
}

// bare is what means itself to a shell and to every reader of .env files.
var bare = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./?-]*$`)

// quoted puts a value that a shell would read otherwise between single quotes. The rest stays bare, since docker's --env-file takes quotes for a
// part of the value.
func quoted(value string) string {
	if bare.MatchString(value) {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

func (u *ui) reveal(w http.ResponseWriter, r *http.Request) error {
	token := r.PathValue("token")
	st, err := u.statusOf(r.Context(), w, token)
	if err != nil {
		return u.badLink(w, err)
	}
	v := credentialsView{Company: st.Request.Customer.CompanyName, Back: statusPath(token), Once: true}
	c, err := u.Service.RevealToCustomer(r.Context(), token)
	switch {
	case hub.IsCode(err, hub.CodeAlreadyRevealed):
		v.Seen = true
		return u.render(w, http.StatusConflict, "status_credentials", frame{Title: "Already shown", Class: "plain", View: v})
	case err != nil:
		return err
	}
	v.URL, v.Env = c.URL, sortedEnv(c)
	return u.render(w, http.StatusOK, "status_credentials", frame{Title: "Connection details", Class: "plain", View: v})
}

type lookupView struct {
	Email   field
	Sent    bool
	BadLink bool
}

func (u *ui) lookupPage(w http.ResponseWriter, _ *http.Request) error {
	v := lookupView{Email: field{Name: "email", Label: "Work email", Type: "email", Auto: "email", Required: true}}
	return u.render(w, http.StatusOK, "status_lookup", frame{Title: "Find your status", Class: "plain", View: v})
}

// lookup answers the same for every address, known or not.
func (u *ui) lookup(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return formError(err)
	}
	v := lookupView{Email: field{Name: "email", Label: "Work email", Type: "email", Auto: "email", Required: true, Value: r.PostForm.Get("email")}}
	err := u.Service.LookupStatus(r.Context(), v.Email.Value)
	var e *hub.Error
	switch {
	case err == nil:
		v.Sent = true
		return u.render(w, http.StatusAccepted, "status_lookup", frame{Title: "Look into your mail", Class: "plain", View: v})
	case errors.As(err, &e) && len(e.Fields) > 0:
		v.Email.Error = &refusal{Code: string(e.Code), Message: e.Message, Fix: e.Fix}
		return u.render(w, statusOf(err), "status_lookup", frame{Title: "Find your status", Class: "plain", View: v})
	}
	return err
}
