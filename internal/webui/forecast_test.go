package webui_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func TestTheRecordOfForecastsIsPublic(t *testing.T) {
	r := newRig(t)
	r.visitor().get("/forecast").want(200).has("How good are our forecasts?", "Nothing to show yet", "very first word").hasNot("<table")
	r.operator(adminMail).get("/console").want(200).has("Was the forecast right?", "Nothing to show yet", "What if?")

	r = newRig(t) // the record is kept for some seconds: another hub
	s := r.signUp("a@example.com", "Ada", "starter")
	r.work()
	r.reach(s.Request.ID, hub.Completed)
	v := r.visitor()
	v.get("/forecast").want(200).has("Starter 7 days nobody had to wait 30 days nobody had to wait", "1, few", "Ready within p90 aim 90 %").hasNot("All plans", "Ada")
	v.get("/forecast").holds(`href="/api/v1/stats/forecast"`, `class="meter"`)
	v.post("/forecast").want(http.StatusMethodNotAllowed)
}

func TestWhatIfIsAskedInTheAddress(t *testing.T) {
	r := newRig(t)
	for _, c := range []string{"a", "b", "c"} {
		r.signUp(c+"@example.com", "Company "+c, "enterprise")
	}
	v := r.operator(adminMail)
	v.get("/console").want(200).has("What you leave empty stays as it is.").hasNot("Made by our people")

	p := v.get("/console?q=Company&mine=&operators=3&pool=").want(200).
		has("Made by the hub nobody waits As it is assumed, not measured yet 2 at once", "Made by our people", "As asked assumed, not measured yet 3", "Start p50", "Ready p90", "Company c").
		holds(`name="operators" type="text" value="3"`, `<input type="hidden" name="q" value="Company">`, `href="/console?q=Company"`)
	if before, after, found := strings.Cut(p.Body, `id="live"`); !found || strings.Contains(before, "As asked") || !strings.Contains(after, "As asked") {
		t.Error("the answer is not below the line")
	}
	v.get("/console?operators=0").want(200).has("As asked 0 Nobody is working")

	v.get("/console?operators=%3Cb%3E&pool=-1").want(422).has("The line", "This is not a whole number from 0 on.", "Company a").
		holds(`value="&lt;b&gt;"`, `id="f-operators-wrong"`, `id="f-pool-wrong"`).hasNot("Made by our people", "<b>\"")
	v.get("/console?pool=10001").want(422).has("Number of set-ups is more than 10000.").holds(`id="f-pool-wrong"`).hasNot("f-operators-wrong")
	if html, _ := v.fragments("/console/events?operators=3")(); strings.Contains(html, "As asked") || strings.Contains(html, "Was the forecast") {
		t.Error("the stream carries what does not change")
	}
	r.visitor().get("/console?operators=3").want(200).has("Log in").holds(`value="/console?operators=3"`)
}
