package webui_test

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

// filled is a form that is right.
func filled(pairs ...string) []string {
	return append([]string{
		"plan", "basic", "billing_cycle", "monthly", "email", "ada@example.com", "company_name", "Ada & Töchter", "contact_name", "Ada O'Neil",
	}, pairs...)
}

func TestSignUpForm(t *testing.T) {
	r := newRig(t)
	p := r.visitor().get("/").want(200)
	p.has("Starter", "Free", "Professional", "99", "Enterprise", "Set up with a person", "All of Basic, and", "What happens next")
	p.holds(`<form method="post" action="/signup"`, `autocomplete="organization"`)
	if csp := p.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
}

func TestSignUpLeadsToItsStatus(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	to := v.post("/signup", filled()...).to()
	v.get(to).want(200).has("Ada & Töchter", "Basic", "You are in line", "Nobody is ahead of you").hasNot("Ada & T")
	list, err := r.Service.ListRequests(t.Context(), requests(), false)
	ok(t, err)
	if len(list) != 1 || strings.Join(list[0].Features, " ") != "core inventory pos analytics" {
		t.Errorf("the line has %+v", list)
	}
}

func TestSignUpTakesAChoiceOfFeatures(t *testing.T) {
	r := newRig(t)
	// The boxes of a plan that was not chosen are sent too, and count for nothing.
	r.visitor().post("/signup", filled("features.basic", "core", "features.basic", "inventory", "features.enterprise", "hr")...).want(303)
	list, err := r.Service.ListRequests(t.Context(), requests(), false)
	ok(t, err)
	if got := strings.Join(list[0].Features, " "); got != "core inventory" {
		t.Errorf("features %q", got)
	}
}

func TestSignUpMarksEveryWrongField(t *testing.T) {
	r := newRig(t)
	p := r.visitor().post("/signup",
		"plan", "gold", "email", `"><script>alert(1)</script>`, "company_name", "<b>Müller & O'Neil</b>", "contact_name", " ", "billing_address/city", "Köln\x00",
		"special_requirements", "line one\nline two")
	p.want(http.StatusUnprocessableEntity)
	p.has("4 things need a look:", `There is no plan "gold".`, "This is not an email address.", "Your name is needed.", "City holds a control character.", "Use the form name@example.com.")
	p.hasNot("<script>alert", "<b>Müller", "contact_name is needed")
	p.holds(`value="&lt;b&gt;Müller &amp; O&#39;Neil&lt;/b&gt;"`, "line one\nline two</textarea>", `aria-invalid="true"`, `href="#f-email"`, `<details class="more" open>`, `role="alert"`)
	if n := strings.Count(p.Body, `aria-invalid="true"`); n != 3 {
		t.Errorf("%d inputs are marked, want 3", n)
	}
	list, err := r.Service.ListRequests(t.Context(), requests(), false)
	ok(t, err)
	if len(list) != 0 {
		t.Errorf("a wrong form made %d requests", len(list))
	}
}

func TestSignUpTwice(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	v.post("/signup", filled()...).want(303)
	p := v.post("/signup", filled()...).want(http.StatusConflict)
	p.has("already has a place in the line", "Get a fresh status link").holds(`href="/status"`, `value="ada@example.com"`).hasNot("/api/v1")
}

var keyField = regexp.MustCompile(`name="key" value="([^"]+)"`)

func TestSignUpSentTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	key := keyField.FindStringSubmatch(v.get("/").Body)[1]
	const clicks = 6
	places := make([]string, clicks)
	var wg sync.WaitGroup
	for i := range clicks {
		wg.Go(func() { places[i] = v.post("/signup", filled("key", key)...).Header.Get("Location") })
	}
	wg.Wait()
	for _, p := range places {
		if p != places[0] || !strings.HasPrefix(p, "/status/") {
			t.Errorf("the clicks led to %q", places)
		}
	}
	// A corrected form is a new one, whatever its key.
	if to := v.post("/signup", "key", key, "plan", "starter", "email", "other@example.com", "company_name", "B", "contact_name", "C").to(); to == places[0] {
		t.Error("another company got the same place")
	}
}

func TestFormsFromOtherSitesAreRefused(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	v.post("/signup", filled("Sec-Fetch-Site", "cross-site")...).want(http.StatusForbidden).has("sent from another site", "FORBIDDEN")
	v.post("/console/login", "Sec-Fetch-Site", "cross-site", "email", adminMail, "password", password).want(http.StatusForbidden)
}

func TestWhatIsNotThere(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	v.get("/nothing/here").want(404).has("There is no page at this address.", "Find your status")
	if p := v.post("/").want(http.StatusMethodNotAllowed); p.Header.Get("Allow") != "GET" {
		t.Errorf("Allow is %q", p.Header.Get("Allow"))
	}
	if p := v.get("/signup").want(http.StatusMethodNotAllowed); p.Header.Get("Allow") != "POST" {
		t.Errorf("Allow is %q", p.Header.Get("Allow"))
	}
	for call, code := range map[string]hub.Code{ // a program, which does not ask for HTML, gets the API's form; the rig's is a teapot
		"GET /nothing":    hub.CodeNotFound,
		"GET /static/app": hub.CodeNotFound,
		"DELETE /":        hub.CodeMethodNotAllowed,
		"POST /signup":    hub.CodeForbidden, // from another site
	} {
		method, path, _ := strings.Cut(call, " ")
		req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, nil)
		ok(t, err)
		if method == http.MethodPost {
			req.Header.Set("Sec-Fetch-Site", "cross-site")
		}
		res, err := v.client.Do(req)
		ok(t, err)
		body, err := io.ReadAll(res.Body)
		ok(t, err)
		ok(t, res.Body.Close())
		if res.StatusCode != http.StatusTeapot || strings.TrimSpace(string(body)) != string(code) {
			t.Errorf("%s: a program got %d %s", call, res.StatusCode, body)
		}
	}
	v.post("/signup", "special_requirements", strings.Repeat("x", 1<<20)).want(http.StatusRequestEntityTooLarge).has("larger than 1 MiB")
}

func TestStaticFilesMayBeKept(t *testing.T) {
	r := newRig(t)
	v := r.visitor()
	body := v.get("/").Body
	for _, kind := range []string{"css", "js", "svg"} {
		path := regexp.MustCompile(`/static/\w+\.[0-9a-f]{12}\.` + kind).FindString(body)
		p := v.get(path).want(200)
		if p.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || len(p.Body) < 100 {
			t.Errorf("%s: %v", path, p.Header)
		}
	}
	v.get("/static/app.000000000000.css").want(404)
}
