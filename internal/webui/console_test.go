package webui_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func (r *rig) hire(email, name string, rank hub.Rank) {
	r.t.Helper()
	_, err := r.Service.CreateOperator(r.t.Context(), hub.CLIActor(), hub.NewOperator{Email: email, Name: name, Rank: rank, Password: password})
	ok(r.t, err)
}

func TestConsoleAsksForALogin(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	v.get("/console").want(200).has("Log in", "For operators.").hasNot("Claim next")
	v.get("/console/requests/req_x").want(200).has("Log in").holds(`name="next" value="/console/requests/req_x"`)
	v.post("/console/claim-next").want(http.StatusUnauthorized).has("Log in")
	v.get("/console/events").want(http.StatusUnauthorized)
	v.post("/console/login", "email", adminMail, "password", "wrong wrong wrong wrong").want(401).has("Email or password is wrong.").holds(`value="` + adminMail + `"`).hasNot("wrong wrong")
	if to := v.post("/console/login", "email", adminMail, "password", password, "next", "//evil.example/console").to(); to != "/console" {
		t.Errorf("led to %s", to)
	}
	v.get("/console").want(200).has("The line", "Grace Höpper", "Nobody is waiting.")
	if to := v.post("/console/logout").to(); to != "/console/login?out" {
		t.Errorf("led to %s", to)
	}
	v.get("/console/login?out").has("You are logged out.")
	v.get("/console").has("Log in")
	if to := v.post("/console/logout").to(); to != "/console/login?out" { // again, logged out already
		t.Errorf("led to %s", to)
	}
}

func TestOperatorsWay(t *testing.T) {
	r := newRig(t)
	r.signUp("s@example.com", "Small", "starter")
	s := r.signUp("big@example.com", "<b>Groß & Söhne</b>", "enterprise")
	v := r.operator(adminMail)
	v.get("/console").want(200).has("1 <b>Groß & Söhne</b>", "2 Small", "Waiting 2", "nobody", "the hub’s turn").hasNot("<b>Groß")

	to := v.post("/console/claim-next").to()
	path := "/console/requests/" + s.Request.ID
	if to != path+"?done=claim" {
		t.Fatalf("claim-next led to %s", to)
	}
	v.get(to).want(200).has("Claimed: it is in your hands now.", "In hand", "Give it a backend", "Jörg Müller", "big@example.com", "request.claim", "No steps yet.")
	if to := v.post(path + "/release").to(); to != path+"?done=release" {
		t.Errorf("release led to %s", to)
	}
	if to := v.post(path+"/claim", "from", "q=gro%C3%9F&plan=enterprise&evil=1").to(); to != "/console?done=claim&plan=enterprise&q=gro%C3%9F" {
		t.Errorf("claim from the line led to %s", to)
	}
	v.post(path+"/claim").want(409).has("This request is already claimed.", "ALREADY_CLAIMED", "Give it a backend")
	v.post(path+"/claim", "from", "").want(409).has("The line", "ALREADY_CLAIMED")

	v.post(path+"/notes", "text", "Call <b>before</b>\nfive").want(303)
	v.get(path).has("Call <b>before</b> five").hasNot("<b>before")
	long := strings.Repeat("ä", 2001)
	v.post(path+"/notes", "text", long).want(422).has("longer than 2000").holds(long)

	v.post(path+"/credentials", "provider", "nobody").want(422).has("This hub has no such provider.")
	next := v.fragments(path + "/events")
	next()
	r.work()
	v.post(path+"/credentials", "provider", "sqlite").want(303)
	r.reach(s.Request.ID, hub.Completed)
	for {
		if html, _ := next(); strings.Contains(html, "is-completed") {
			break
		}
	}
	v.get(path).has("Ready", "accounting/", "Tenant", "active", "Reveal the details", "request.complete").hasNot(path + "/cancel")
	v.post(path+"/reveal").want(200).has("This look is in the audit log.", "sqlite")
	v.get(path).has("tenant.reveal")
	v.get("/console?state=completed").has("<b>Groß & Söhne</b>", "Ready").hasNot(">Claim<")
	v.post(path+"/cancel").want(409).has("INVALID_TRANSITION", "It is finished")
}

func TestAFailureExplainsItselfAndIsRetried(t *testing.T) {
	r := newRig(t)
	good := r.cats.put(broken(r.cats.Current(), "pos"))
	s := r.signUp("a@example.com", "Ada", "basic")
	r.work()
	r.reach(s.Request.ID, hub.Failed)
	v := r.operator(adminMail)
	path := "/console/requests/" + s.Request.ID
	v.get(path).want(200).has("It failed at", "syntax error", "features/pos/0001.sql:1", "catalog", "Next: ", "then retry", "Take over by hand", "Cancel the request")
	v.get("/console?state=failed").has("Ada", "syntax error", "Take over", "Retry", "Failed 1")
	r.visitor().get("/status/"+s.StatusToken).has("This takes longer than it should", "nothing is lost").hasNot("syntax", "TABEL", ".sql")
	r.cats.put(good)
	if to := v.post(path+"/retry", "from", "state=failed").to(); to != "/console?done=retry&state=failed" {
		t.Errorf("retry led to %s", to)
	}
	r.reach(s.Request.ID, hub.Completed)
	v.get(path).has("Ready").hasNot("It failed at")
}

func TestSupportLooksOnly(t *testing.T) {
	r := newRig(t)
	r.hire("sue@example.com", "Sue", hub.Support)
	s := r.signUp("a@example.com", "Ada", "enterprise")
	v, path := r.operator("sue@example.com"), "/console/requests/"+s.Request.ID
	v.get("/console").want(200).has("Ada").hasNot("Claim")
	v.get(path).want(200).has("Ada").hasNot("/claim", "/cancel", "Save notes")
	v.post(path+"/claim").want(403).has("Your role may look but not change anything.", "FORBIDDEN")
	v.post("/console/claim-next").want(403).has("Your role may look")
}

func TestMineAndPages(t *testing.T) {
	r := newRig(t)
	for i := range 53 {
		r.signUp(fmt.Sprintf("c%02d@example.com", i), fmt.Sprintf("Company %02d", i), "enterprise")
	}
	v := r.operator(adminMail)
	first := v.get("/console").want(200).has("1 Company 00", "50 Company 49", "Next page").hasNot("Company 50")
	href, _, _ := strings.Cut(first.Body[strings.Index(first.Body, "/console?after="):], `"`)
	second := v.get(strings.ReplaceAll(href, "&amp;", "&")).want(200).has("51 Company 50", "53 Company 52", "First page").hasNot("Company 49")
	if strings.Contains(text(second.Body), "Next page") {
		t.Error("the last page leads on")
	}
	v.post("/console/claim-next").want(303)
	v.get("/console?state=all&mine=1").has("Company 00", "you").hasNot("Company 01")
	v.get("/console?q=company+07").has("Company 07", "Clear").hasNot("Company 08")
	v.get("/console?q=%3Cscript%3E&state=nonsense&after=%21").want(200).has("Nothing here matches.").hasNot("<script>")
	v.get("/console/requests/req_unknown").want(404).has("There is no request")
}

func TestConsoleStreamEndsWithTheSession(t *testing.T) {
	r := newRig(t)
	v := r.operator(adminMail)
	next := v.fragments("/console/events")
	next()
	s := r.signUp("a@example.com", "Ada", "enterprise")
	if html, _ := next(); !strings.Contains(html, s.Request.ID) {
		t.Error("the line is not fresh")
	}
	v.post("/console/logout").want(303)
	for last := false; !last; {
		_, last = next()
	}
	v.get("/console/events").want(401)
}

func TestFirstAdmin(t *testing.T) {
	r := newEmptyRig(t)
	link, err := r.Service.SetupLink(t.Context())
	ok(t, err)
	path := strings.TrimPrefix(link, r.URL)
	v := r.visitor()
	v.get(path).want(200).has("Make the first admin")
	v.post(path, "name", "", "email", "x", "password", "short").want(422).
		has("Your name is needed.", "This is not an email address.").holds(`id="f-password-wrong"`, `value="x"`).hasNot(`value="short"`)
	if to := v.post(path, "name", "Ada", "email", "ada@example.com", "password", password).to(); to != "/console?done=setup" {
		t.Errorf("led to %s", to)
	}
	v.get("/console?done=setup").has("you are the first admin", "Ada")
	r.visitor().get(path).want(404).has("not valid (any more)")
	r.visitor().post(path, "name", "Eve", "email", "eve@example.com", "password", password).want(404)
}
