package webui_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func requests() hub.RequestFilter { return hub.RequestFilter{Limit: 200} }

func TestStatusIsFollowedToTheEnd(t *testing.T) {
	r := newRig(t)
	s := r.signUp("a@example.com", "<b>O'Neil</b> & Söhne", "basic")
	v, path := r.visitor(), "/status/"+s.StatusToken
	p := v.get(path).want(200).has("<b>O'Neil</b> & Söhne", "You are in line", "Usually ready in", "Usually starts in", "Assumed, not measured yet", "How good are our forecasts?").hasNot("<b>O")
	p.holds(`http-equiv="refresh"`)
	if got := p.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy %q", got)
	}
	if got := p.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}
	next := v.fragments(path + "/events")
	html, last := next()
	if !strings.Contains(html, "You are in line") || last {
		t.Fatalf("first fragment, last=%v: %s", last, html)
	}
	r.work()
	for !last {
		html, last = next()
	}
	if !strings.Contains(html, "Your database is ready") {
		t.Errorf("last fragment: %s", html)
	}
	done := v.get(path).want(200).has("Your database is ready", "Set up Inventory", "Try it as you would", "Show connection details").hasNot(`http-equiv="refresh"`)
	if !strings.Contains(done.Body, html) {
		t.Error("the page and the last fragment differ")
	}
}

func TestConnectionDetailsAreShownOnce(t *testing.T) {
	r := newRig(t)
	s := r.signUp("a@example.com", "Ada", "starter")
	v, path := r.visitor(), "/status/"+s.StatusToken
	v.post(path + "/credentials").want(http.StatusConflict).has("not ready yet")
	r.work()
	r.reach(s.Request.ID, hub.Completed)
	v.post(path+"/credentials").want(200).has("Connection details", "This is the only time you see them.", "sqlite")
	v.post(path + "/credentials").want(http.StatusConflict).has("already shown").hasNot("sqlite:")
	v.get(path).want(200).has("The connection details were shown.").hasNot("/credentials")
}

func TestLeavingTheLine(t *testing.T) {
	r := newRig(t)
	s := r.signUp("a@example.com", "Ada", "enterprise")
	v, path := r.visitor(), "/status/"+s.StatusToken
	v.get(path).holds(path + "/cancel")
	v.get(path+"/cancel").want(200).has("Leave the line?", "place 1 in line")
	if to := v.post(path+"/cancel", "Sec-Fetch-Site", "none").to(); to != path {
		t.Errorf("led to %s", to)
	}
	v.get(path).has("You left the line", "Sign up again").hasNot(path + "/cancel")
	v.post(path + "/credentials").want(http.StatusConflict).has("was cancelled").hasNot("not ready yet")
	if to := v.get(path + "/cancel").to(); to != path {
		t.Errorf("led to %s", to)
	}
	if to := v.post(path + "/cancel").to(); to != path { // a second time: its page says what is so
		t.Errorf("led to %s", to)
	}
}

func TestABadStatusLink(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	for _, path := range []string{"/status/kst_wrong", "/status/kst_wrong/cancel", "/status/%3Cb%3E"} {
		v.get(path).want(404).has("This status link is not valid", "Mail me the link").hasNot("kst_wrong")
	}
	v.post("/status/kst_wrong/credentials").want(404)
	v.post("/status/kst_wrong/cancel").want(404)
	v.get("/status/kst_wrong/events").want(http.StatusUnauthorized)
}

func TestLookupTellsNobody(t *testing.T) {
	r := newRig(t)
	r.signUp("known@example.com", "Ada", "starter")
	v := r.visitor()
	known := v.post("/status", "email", "known@example.com").want(http.StatusAccepted)
	unknown := v.post("/status", "email", "nobody@example.com").want(http.StatusAccepted)
	if strings.ReplaceAll(known.Body, "known@", "nobody@") != unknown.Body {
		t.Error("the answers differ")
	}
	v.post("/status", "email", "no").want(422).has("This is not an email address.")
}

func TestPlaceInLine(t *testing.T) {
	r := newRig(t)
	r.signUp("a@example.com", "First", "starter")
	s := r.signUp("b@example.com", "Second", "starter")
	v := r.visitor()
	next := v.fragments("/status/" + s.StatusToken + "/events")
	if html, _ := next(); !strings.Contains(html, "1 company is ahead of you.") {
		t.Errorf("first: %s", text(html))
	}
	r.signUp("c@example.com", "Urgent", "enterprise")
	for last := false; !last; { // the same place with another forecast may come before
		var html string
		if html, last = next(); strings.Contains(html, "2 companies are ahead of you.") {
			break
		}
		if last || !strings.Contains(html, "1 company is ahead of you.") {
			t.Fatalf("after an urgent one: %s", text(html))
		}
	}
	v.get("/status/" + s.StatusToken).has("2 companies are ahead of you.").hasNot("A company with a higher plan") // it is news, not a state
}

// Why a place went back is said once, with the event that moves it.
func TestAPlaceThatGoesBackSaysWhy(t *testing.T) {
	r := newRig(t)
	s := r.signUp("b@example.com", "Second", "starter")
	next := r.visitor().events("/status/" + s.StatusToken + "/events")
	until := func(ahead, why string) {
		t.Helper()
		for {
			f := next()
			if moved := strings.Contains(f.HTML, ahead); moved && f.Why == why {
				return
			} else if moved || f.Why != "" {
				t.Fatalf("why is %q, want %q: %s", f.Why, why, text(f.HTML))
			}
		}
	}
	until("Nobody is ahead of you", "")
	urgent := r.signUp("c@example.com", "Urgent", "enterprise")
	until("1 company is ahead of you.", "A company with a higher plan joined before you.")
	_, err := r.Service.CancelByCustomer(t.Context(), urgent.StatusToken)
	ok(t, err)
	until("Nobody is ahead of you", "")
}

func TestNoTokenInTheLog(t *testing.T) {
	r := newRig(t)
	s := r.signUp("a@example.com", "Ada", "starter")
	v := r.visitor()
	v.get("/status/" + s.StatusToken)
	v.get("/status/" + s.StatusToken + "/cancel")
	v.get("/status/kst_unknowntoken")
	v.get("/setup/kup_unknowntoken")
	v.get("/")
	v.get("/nothing")
	log := r.log.String()
	for _, route := range []string{"/status/{token}/cancel", "/", "unmatched"} {
		if !strings.Contains(log, `"route":"`+route+`"`) {
			t.Errorf("the log lacks the route %s: %s", route, log)
		}
	}
	for _, secret := range []string{s.StatusToken, "unknowntoken"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds a token: %s", log)
		}
	}
}
