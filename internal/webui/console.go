package webui

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

const linePage = 50 // rows of the line at once

// lineView is the line as operators see it.
type lineView struct {
	Actor    hub.Actor
	MayWork  bool
	Done     string   // what was just done, in words
	Problem  *refusal // what was just refused
	Tabs     []tab
	Plans    []hub.Plan
	Filter   lineFilter
	Numbers  []figure
	Rows     []row
	Next     string // address of the next page, or empty
	First    string // address of the first page, when this is another
	Feed     string // address of the events
	AsOf     time.Time
	Filtered bool

	Record recordView // apart from the line: these do not change while one looks
	WhatIf whatIfView
}

type tab struct {
	Label, Href string
	Count       int
	Current     bool
}

type figure struct{ Label, Value, Tone string }

// row is a request in the line.
type row struct {
	Place     int // its position where the page shows the whole waiting line, else 0
	ID        string
	Company   string
	Contact   string
	Email     string
	Plan      string
	Priority  int
	State     hub.State
	Automatic bool
	Who       string
	Mine      bool
	Since     time.Time
	Waited    string
	Overdue   bool
	Trouble   string
	Can       moves
}

// moves says which buttons a request has for the one who looks.
type moves struct{ Claim, Release, Retry, Cancel, Give bool }

// lineFilter is what the address of the line says.
type lineFilter struct {
	State   hub.State // "" is all
	Plan    string
	Mine    bool
	Overdue bool
	Query   string
	after   *hub.LineKey
	from    int // rows before this page
}

func readFilter(q url.Values) lineFilter {
	f := lineFilter{State: hub.Pending, Plan: q.Get("plan"), Mine: q.Get("mine") != "", Overdue: q.Get("overdue") != "", Query: q.Get("q")}
	if s := q.Get("state"); s == "all" {
		f.State = ""
	} else if slices.Contains(hub.States, hub.State(s)) {
		f.State = hub.State(s)
	}
	var k hub.LineKey
	if raw, err := base64.RawURLEncoding.DecodeString(q.Get("after")); err == nil && json.Unmarshal(raw, &k) == nil && k.ID != "" {
		f.after = &k
		f.from, _ = strconv.Atoi(q.Get("from")) // a number that is none shows no position
	}
	return f
}

// values gives the filter back as an address, without the page.
func (f lineFilter) values() url.Values {
	q := url.Values{}
	switch f.State {
	case hub.Pending: // what one sees first has the short address
	case "":
		q.Set("state", "all")
	default:
		q.Set("state", string(f.State))
	}
	for name, v := range map[string]string{"plan": f.Plan, "q": f.Query} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if f.Mine {
		q.Set("mine", "1")
	}
	if f.Overdue {
		q.Set("overdue", "1")
	}
	return q
}

func (f lineFilter) page() url.Values {
	q := f.values()
	if f.after != nil {
		raw, err := json.Marshal(f.after)
		if err == nil { // two numbers and a text always are JSON
			q.Set("after", base64.RawURLEncoding.EncodeToString(raw))
			q.Set("from", strconv.Itoa(f.from))
		}
	}
	return q
}

func address(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// StateValue is the filter's state as the address says it.
func (f lineFilter) StateValue() string {
	if f.State == "" {
		return "all"
	}
	return string(f.State)
}

// Back is the filter as forms carry it, to come back to the same rows.
func (f lineFilter) Back() string { return f.values().Encode() }

func (u *ui) linePage(w http.ResponseWriter, r *http.Request, a hub.Actor) error {
	return u.showLine(w, r, a, readFilter(r.URL.Query()), nil)
}

func (u *ui) showLine(w http.ResponseWriter, r *http.Request, a hub.Actor, f lineFilter, problem error) error {
	v, err := u.lineView(r.Context(), a, f)
	if err != nil {
		return err
	}
	v.Done = done[r.URL.Query().Get("done")]
	if v.WhatIf, err = u.whatIf(r.Context(), r.URL.Query(), f); err != nil {
		return err
	}
	all, err := u.forecastRecords(r.Context())
	if err != nil {
		return err
	}
	v.Record = u.recordView(all)
	status := http.StatusOK
	if v.WhatIf.err != nil {
		status = statusOf(v.WhatIf.err)
	}
	if problem != nil {
		said := u.refusal(r, problem)
		v.Problem, status = &said, statusOf(problem)
	}
	return u.render(w, status, "console_line", frame{Title: "The line", Class: "console", Actor: &a, View: v})
}

func (u *ui) lineEvents(w http.ResponseWriter, r *http.Request, _ hub.Actor) error {
	f, session := readFilter(r.URL.Query()), u.Cookies.Read(r)
	return u.stream(w, r, part{life: consoleLife, make: func(ctx context.Context) (piece, error) {
		a, err := u.Service.SessionActor(ctx, session) // again: who logged out elsewhere sees nothing more
		if err != nil {
			return piece{}, err
		}
		v, err := u.lineView(ctx, a, f)
		if err != nil {
			return piece{}, err
		}
		body, err := u.execute("console_line", "live", v)
		return piece{html: body, line: true}, err
	}})
}

func (u *ui) lineView(ctx context.Context, a hub.Actor, f lineFilter) (lineView, error) {
	ask := hub.RequestFilter{State: f.State, Plan: f.Plan, Query: f.Query, Limit: linePage + 1, After: f.after}
	if f.Mine {
		ask.AssignedTo = a.ID
	}
	list, err := u.Service.ListRequests(ctx, ask, f.Overdue)
	if err != nil {
		return lineView{}, err
	}
	stats, err := u.Service.Stats(ctx)
	if err != nil {
		return lineView{}, err
	}
	v := lineView{
		Actor: a, MayWork: a.Rank != hub.Support, Plans: u.Service.Catalog().Plans, Filter: f, AsOf: stats.AsOf,
		Numbers: figures(stats), Feed: address("/console/events", f.page()),
		Filtered: f.Plan != "" || f.Query != "" || f.Mine || f.Overdue,
	}
	v.Tabs = tabs(f, stats)
	if f.after != nil {
		v.First = address("/console", f.values())
	}
	if len(list) > linePage {
		list = list[:linePage]
		next := f
		key := list[linePage-1].Key()
		next.after, next.from = &key, f.from+linePage
		v.Next = address("/console", next.page())
	}
	// Only who sees the line from its head, or knows how many were before, can number its places.
	whole := !v.Filtered && (f.after == nil || (f.State == hub.Pending && f.from > 0))
	place := f.from
	for _, r := range list {
		line := u.row(r, a, stats.AsOf)
		if whole && r.State == hub.Pending {
			place++
			line.Place = place
		}
		v.Rows = append(v.Rows, line)
	}
	return v, nil
}

func (u *ui) row(r *hub.Request, a hub.Actor, now time.Time) row {
	out := row{
		ID: r.ID, Company: r.Customer.CompanyName, Contact: r.Customer.ContactName, Email: r.Customer.Email, Plan: r.Plan, Priority: r.Priority,
		State: r.State, Automatic: r.Way == hub.Automatic, Who: assignee(r), Mine: r.AssignedTo == a.ID, Since: r.EnqueuedAt, Can: can(r, a),
	}
	if p, ok := u.Service.Catalog().Plan(r.Plan); ok {
		out.Plan = p.Name
	}
	if r.State.Final() && r.FinishedAt != nil {
		out.Waited = took(r.FinishedAt.Sub(r.EnqueuedAt))
	} else {
		out.Waited = rough(now.Sub(r.EnqueuedAt))
		out.Overdue = r.OverdueAt != nil && now.After(*r.OverdueAt)
	}
	if r.State == hub.Failed && r.Failure != nil {
		out.Trouble = r.Failure.Step + ": " + shorten(r.Failure.Cause, 120)
	}
	return out
}

func assignee(r *hub.Request) string {
	switch {
	case r.AssignedTo == hub.AutoAssignee:
		return "the hub"
	case r.AssigneeName != "":
		return r.AssigneeName
	}
	return r.AssignedTo
}

// can offers what the hub would accept; the hub decides.
func can(r *hub.Request, a hub.Actor) moves {
	if a.Rank == hub.Support {
		return moves{}
	}
	holds := a.Rank == hub.Admin || r.AssignedTo == a.ID
	return moves{
		Claim:   r.State == hub.Pending || r.State == hub.Failed,
		Release: r.State == hub.InProgress && holds,
		Give:    r.State == hub.InProgress && holds,
		Retry:   r.State == hub.Failed,
		Cancel:  slices.Contains([]hub.State{hub.Pending, hub.InProgress, hub.CredentialsReceived, hub.Failed}, r.State),
	}
}

func tabs(f lineFilter, s hub.Stats) []tab {
	var out []tab
	total := 0
	for _, st := range append(slices.Clone(hub.States), "") {
		if st == hub.CredentialsReceived && s.ByState[st] == 0 && f.State != st {
			continue // passes in a moment; a tab for it would only be noise
		}
		to := f
		to.State = st
		t := tab{Label: stateWord(st), Count: s.ByState[st], Current: f.State == st, Href: address("/console", to.values())}
		total += t.Count
		if st == "" {
			t.Label, t.Count = "All", total
		}
		out = append(out, t)
	}
	return out
}

func figures(s hub.Stats) []figure {
	f := []figure{
		{"Waiting", number(s.ByState[hub.Pending]), ""},
		{"In work", number(s.ByState[hub.InProgress] + s.ByState[hub.CredentialsReceived] + s.ByState[hub.Migrating]), ""},
		{"Ready today", number(s.CompletedToday), "good"},
		{"Failed today", number(s.FailedToday), ""},
		{"Overdue", number(s.Overdue), ""},
		{"Average wait", "–", ""},
		{"Oldest wait", "–", ""},
	}
	if s.FailedToday > 0 {
		f[3].Tone = "bad"
	}
	if s.Overdue > 0 {
		f[4].Tone = "bad"
	}
	if s.AverageWait > 0 {
		f[5].Value = took(s.AverageWait)
	}
	if s.OldestPending != nil {
		f[6].Value = rough(s.AsOf.Sub(*s.OldestPending))
	}
	return f
}
