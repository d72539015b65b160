package webui

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

// What the tests of rendering show: a catalog, requests in every state, and the kind of names that break pages.

type fixedCatalog struct{ c *hub.Catalog }

func (f fixedCatalog) Current() *hub.Catalog        { return f.c }
func (f fixedCatalog) Reload(context.Context) error { return nil }

var sampleCatalog = &hub.Catalog{
	Version: "5f0c3a9d11e24b77",
	Plans: []hub.Plan{
		{ID: "starter", Name: "Starter", Description: "Keep track of what you have.", Features: []string{"inventory"}, Provisioning: hub.Automatic},
		{ID: "basic", Name: "Basic", Description: "Sell over the counter and see how it goes.", PriceMonthly: 29, PriceYearly: 290, Features: []string{"inventory", "pos"}, Provisioning: hub.Automatic},
		{ID: "enterprise", Name: "Enterprise", Description: "The whole business, set up by our people.", Priority: 2, PriceMonthly: 1299, PriceYearly: 12990, Features: []string{"pos", "hr"}, Provisioning: hub.ByOperator},
	},
	Features: []hub.Feature{
		{Name: "core", Title: "Core", Description: "People, roles and settings."},
		{Name: "inventory", Title: "Inventory", Description: "Items, stock and suppliers.", DependsOn: []string{"core"}},
		{Name: "pos", Title: "Point of sale", Description: "Tills, sales and payments.", DependsOn: []string{"inventory"}},
		{Name: "hr", Title: "Staff", Description: "Employees, contracts and leave.", DependsOn: []string{"core"}},
	},
}

// sampleUI renders without a database behind it.
func sampleUI() *ui {
	u := &ui{Options: Options{Service: hub.New(hub.Deps{Catalogs: fixedCatalog{sampleCatalog}}), Log: slog.New(slog.DiscardHandler), Version: "test"}}
	u.assets = loadAssets()
	u.pages = parsePages(u.assets)
	return u
}

var sampleNow = time.Date(2026, time.March, 14, 9, 26, 53, 0, time.UTC)

func ago(d time.Duration) *time.Time { t := sampleNow.Add(-d); return &t }

func sampleRequest(s hub.State) hub.Request {
	return hub.Request{
		ID: "req_01", CustomerID: "cus_01", Plan: "basic", Features: []string{"core", "inventory", "pos"}, Way: hub.Automatic, State: s,
		EnqueuedAt: *ago(40 * time.Second), BillingCycle: "yearly",
		Customer: hub.CustomerRef{Email: "jö@müller-straße.example", CompanyName: `<b>Müller & Söhne</b> "O'Neil" GmbH`, ContactName: "Jörg Ößtürk"},
	}
}

func sampleSteps(done int, then hub.StepStatus) []hub.StepRecord {
	names := [][2]string{
		{"create", "Create the database"},
		{"identity", "Seal its identity"},
		{"core/0001_people", "Set up Core"},
		{"core/0002_settings", "Set up Core"},
		{"inventory/0001_items", "Set up Inventory"},
		{"pos/0001_sales", "Set up Point of sale"},
		{"inventory/seed", "Fill in Inventory"},
		{"probe", "Try it as you would"},
	}
	steps := make([]hub.StepRecord, len(names))
	for i, n := range names {
		at := sampleNow.Add(time.Duration(i) * 120 * time.Millisecond)
		end := at.Add(time.Duration(20+i*13) * time.Millisecond)
		if i == 4 {
			end = at // came with the copy
		}
		steps[i] = hub.StepRecord{Seq: i + 1, Name: n[0], Title: n[1], Status: hub.StepPending}
		switch {
		case i < done:
			steps[i].Status, steps[i].StartedAt, steps[i].FinishedAt, steps[i].Tries = hub.StepDone, &at, &end, 1
		case i == done && then != hub.StepPending:
			steps[i].Status, steps[i].StartedAt, steps[i].Tries = then, &at, 1
		}
	}
	return steps
}

func sampleStatus(s hub.State) hub.Status {
	st := hub.Status{Request: sampleRequest(s), AsOf: sampleNow}
	st.Ready = hub.Estimate{P50: 1100 * time.Millisecond, P90: 5 * time.Second, Basis: forecast.Prior}
	r := &st.Request
	switch s {
	case hub.Pending:
		st.Position, st.Ahead = 3, 2
		st.Wait = hub.Estimate{P50: 40 * time.Minute, P90: 2 * time.Hour, Basis: forecast.Measured}
		st.Ready = hub.Estimate{P50: 70 * time.Minute, P90: 190 * time.Minute, Basis: forecast.Measured}
	case hub.InProgress, hub.CredentialsReceived:
		r.ClaimedAt, r.AssignedTo, r.AssigneeName = ago(20*time.Second), "opr_01", "Ada Grün"
	case hub.Migrating:
		r.ClaimedAt, r.AssignedTo, st.Steps = ago(time.Second), hub.AutoAssignee, sampleSteps(4, hub.StepRunning)
	case hub.Completed:
		r.ClaimedAt, r.StartedAt, r.FinishedAt, r.AssignedTo = ago(2*time.Second), ago(time.Second), ago(0), hub.AutoAssignee
		r.EnqueuedAt = *ago(2100 * time.Millisecond)
		st.Steps = sampleSteps(8, hub.StepDone)
	case hub.Failed:
		r.ClaimedAt, r.FinishedAt, r.AssignedTo = ago(2*time.Second), ago(0), hub.AutoAssignee
		r.Failure = &hub.Failure{
			Step: "pos/0001_sales", Class: hub.ClassCatalog, Code: "SQLITE_ERROR", File: "features/pos/0001_sales.sql", Line: 17, Tries: 1,
			Cause: `near "TABEL": syntax error`, Action: "Correct the named file, then retry: it resumes at this step.",
			Customer: "A part of your plan could not be set up. We are on it; nothing is lost.",
		}
		st.Steps, st.Reason = sampleSteps(5, hub.StepFailed), r.Failure.Customer
		st.Steps[5].Failure = r.Failure
	case hub.Cancelled:
		r.FinishedAt = ago(time.Second)
	}
	return st
}

func sampleLine(u *ui, a hub.Actor) lineView {
	f := lineFilter{State: hub.Pending}
	stats := hub.Stats{AsOf: sampleNow, Counts: hub.Counts{
		ByState:        map[hub.State]int{hub.Pending: 7, hub.InProgress: 1, hub.Migrating: 1, hub.Completed: 1284, hub.Failed: 1, hub.Cancelled: 3},
		CompletedToday: 1284, FailedToday: 1, Overdue: 1, OldestPending: ago(3 * time.Hour), AverageWait: 840 * time.Millisecond,
	}}
	v := lineView{Actor: a, MayWork: true, Plans: sampleCatalog.Plans, Filter: f, AsOf: sampleNow, Numbers: figures(stats), Tabs: tabs(f, stats), Feed: "/console/events", Next: "/console?after=x"}
	for i, s := range []hub.State{hub.Pending, hub.Pending, hub.InProgress, hub.Migrating, hub.Failed, hub.Completed} {
		st := sampleStatus(s)
		r := st.Request
		r.ID = fmt.Sprintf("req_%02d", i)
		if i == 1 {
			r.Plan, r.Way, r.Priority, r.OverdueAt, r.EnqueuedAt = "enterprise", hub.ByOperator, 2, ago(time.Hour), *ago(3 * time.Hour)
			r.Customer.CompanyName = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft mbH & Co. KG"
		}
		line := u.row(&r, a, sampleNow)
		line.Place = i + 1
		v.Rows = append(v.Rows, line)
	}
	v.Record, v.WhatIf = u.recordView(sampleRecords()), sampleWhatIf()
	return v
}

func sampleRecords() []hub.ForecastRecord {
	kept := func(plan string, n int) hub.ForecastKept {
		return hub.ForecastKept{Plan: plan, Started: 2 * n, Waited: n, WaitedP50: n * 52 / 100, WaitedP90: n * 91 / 100, Ready: 2 * n, ReadyP50: n * 81 / 100, ReadyP90: 2*n - 1}
	}
	return []hub.ForecastRecord{
		{Days: 7, Plans: []hub.ForecastKept{kept("enterprise", 12), {Plan: "starter", Started: 640, Ready: 638, ReadyP50: 330, ReadyP90: 590}}, AsOf: sampleNow},
		{Days: 30, Plans: []hub.ForecastKept{kept("<b>gone", 41), kept("enterprise", 103), kept("starter", 4021)}, AsOf: sampleNow},
	}
}

func sampleWhatIf() whatIfView {
	times := func(start, ready time.Duration, b forecast.Basis) forecast.Answer {
		return forecast.Answer{Start: forecast.Range{P50: start, P90: 2 * start}, Ready: forecast.Range{P50: ready, P90: 2 * ready}, Basis: b}
	}
	v := whatIfView{
		Operators: field{Name: "operators", Label: "Number of operators", Value: `"<b>"`, Error: &refusal{"INVALID_FIELD", "<b>no</b>", "", ""}},
		Pool:      field{Name: "pool", Label: "Number of set-ups", Value: "20"}, Keep: []variable{{"q", `"<b>"`}}, Clear: "/console?q=%3Cb%3E",
	}
	for _, w := range []hub.WhatIf{
		{Way: hub.Automatic, Servers: 20, Now: 4, Waiting: 1, Next: times(0, 1200*time.Millisecond, forecast.Measured), AsIs: times(2*time.Second, 4*time.Second, forecast.Measured)},
		{Way: hub.ByOperator, Servers: 3, Waiting: 1240, Next: times(31*time.Hour, 32*time.Hour, forecast.Prior), AsIs: forecast.Answer{Basis: forecast.Unknown, Why: "Nobody is working <b>and nobody is announced."}},
	} {
		v.Ways = append(v.Ways, whatIfWayOf(w))
	}
	return v
}

func sampleRequestView(u *ui, a hub.Actor, s hub.State) requestView {
	st := sampleStatus(s)
	r := st.Request
	r.SpecialRequirements = "Please call first.\nWe close at 17:00."
	v := requestView{
		Row: u.row(&r, a, sampleNow), Status: u.statusView(st, ""), Request: r, Providers: []string{"sqlite"}, MayWork: true, Feed: "/console/requests/req_01/events",
		Features: []string{"Core", "Inventory"}, Failure: r.Failure, Steps: stepLines(st.Steps),
		Audit: []auditLine{{&hub.AuditEntry{At: sampleNow, ActorName: "the hub", Action: "request.claim"}, "auto"}},
	}
	if s == hub.Failed || s == hub.Completed {
		v.Tenant = &hub.Tenant{ID: "ten_01", State: hub.TenantActive, CatalogVersion: sampleCatalog.Version, Backend: hub.Backend{Provider: "sqlite", Place: "te/ten_01.db"}}
	}
	return v
}
