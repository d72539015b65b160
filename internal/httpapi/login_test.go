package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kitshub/kitshub/internal/httpapi"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// session logs in and gives the Cookie header.
func (r *rig) session(email, pw string) string {
	r.t.Helper()
	p := r.call("POST", "/api/v1/auth/login", obj{"email": email, "password": pw}).want(200)
	cookie, _, _ := strings.Cut(p.Header.Get("Set-Cookie"), ";")
	return "Cookie: " + cookie
}

func TestLogin(t *testing.T) {
	r := newRig(t)
	p := r.call("POST", "/api/v1/auth/login", obj{"email": " Grace@Example.com ", "password": password, "totp": "000000"}).want(200)
	p.equal("operator.email", adminMail).equal("operator.role", "admin").equal("operator.name", "Grace")
	set := p.Header.Get("Set-Cookie")
	for _, part := range []string{"kitshub=kss_", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=43200"} {
		if !strings.Contains(set, part) {
			t.Errorf("%s is missing in %s", part, set)
		}
	}
	if strings.Contains(set, "Secure") || strings.Contains(p.Raw, "kss_") {
		t.Error(set, p.Raw)
	}
	cookie := r.session(adminMail, password)
	r.call("GET", "/api/v1/auth/me", nil, cookie).want(200).equal("operator.email", adminMail)
	wrong := r.call("POST", "/api/v1/auth/login", obj{"email": adminMail, "password": "x"}).refused(401, "UNAUTHENTICATED")
	unknown := r.call("POST", "/api/v1/auth/login", obj{"email": "nobody\x00@example.com", "password": "x"}).refused(401, "UNAUTHENTICATED")
	if wrong.JSON["detail"] != unknown.JSON["detail"] {
		t.Error(wrong.Raw, unknown.Raw)
	}
	if p := r.call("POST", "/api/v1/auth/login", obj{"email": 1}).refused(400, "INVALID_EMAIL_FORMAT"); p.fields() != "/email INVALID_EMAIL_FORMAT, /password MISSING_FIELD" {
		t.Error(p.fields())
	}
	out := r.call("POST", "/api/v1/auth/logout", nil, cookie).want(200)
	if !strings.Contains(out.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Error(out.Header)
	}
	r.call("GET", "/api/v1/auth/me", nil, cookie).refused(401, "UNAUTHENTICATED")
	r.as("POST", "/api/v1/auth/logout", nil).refused(403, "FORBIDDEN")
	r.as("GET", "/api/v1/auth/me", nil).want(200).equal("operator.name", "root")
}

func TestSecureCookie(t *testing.T) {
	r := newRig(t, func(o *httpapi.Options, _ *http.Server) { o.Cookies = web.NewCookies("https://hub.test") })
	set := r.call("POST", "/api/v1/auth/login", obj{"email": adminMail, "password": password}).want(200).Header.Get("Set-Cookie")
	if !strings.HasPrefix(set, "__Host-kitshub=") || !strings.Contains(set, "; Secure") || strings.Contains(set, "Domain") {
		t.Error(set)
	}
}

// Every operators' route refuses a stranger, a customer, and what is not understood, before it looks at anything else.
func TestDenyByDefault(t *testing.T) {
	r := newRig(t)
	id, status := r.signUp(1, "enterprise")
	spec := r.call("GET", "/openapi.json", nil).want(200)
	n := 0
	for path, item := range spec.JSON["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			security, _ := op.(map[string]any)["security"].([]any)
			if len(security) == 0 {
				continue
			}
			n++
			path := strings.ReplaceAll(path, "{id}", id)
			bad := []string{"X: y", "Authorization: Basic eDp5", "Authorization: Bearer", "Authorization: Bearer a b", bearer("kat_wrong"), "Cookie: kitshub=kss_wrong"}
			if _, customers := security[0].(map[string]any)["statusToken"]; customers {
				bad = append(bad, bearer(r.token))
			} else {
				bad = append(bad, bearer(status))
			}
			for _, h := range bad {
				p := r.call(strings.ToUpper(method), path, nil, h).refused(401, "UNAUTHENTICATED")
				if p.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s %s: no WWW-Authenticate", method, path)
				}
			}
		}
	}
	if n < 25 {
		t.Errorf("only %d routes were tried", n)
	}
}

func TestCrossOrigin(t *testing.T) {
	r := newRig(t)
	cookie := r.session(adminMail, password)
	for _, h := range []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: https://evil.example"} {
		r.call("POST", "/api/v1/requests/claim-next", nil, cookie, h).refused(403, "FORBIDDEN")
		r.call("POST", "/api/v1/auth/logout", nil, cookie, h).refused(403, "FORBIDDEN")
		r.call("POST", "/api/v1/auth/login", obj{"email": adminMail, "password": password}, h).refused(403, "FORBIDDEN")
		r.call("GET", "/api/v1/auth/me", nil, cookie, h).want(200)
		r.as("POST", "/api/v1/requests/claim-next", nil, h).refused(404, "QUEUE_EMPTY") // a token is no cookie
	}
	for _, h := range []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: none", "Origin: http://hub.test", "Origin: " + r.URL, "X: y"} {
		r.call("POST", "/api/v1/requests/claim-next", nil, cookie, h).refused(404, "QUEUE_EMPTY")
	}
}

func TestOperatorsAndTokens(t *testing.T) {
	r := newRig(t)
	o := r.as("POST", "/api/v1/operators", obj{"email": "Alan@example.com", "name": "Alan", "role": "provisioner", "password": "enigma is no longer secret 1"}).want(201)
	o.equal("email", "alan@example.com").equal("role", "provisioner").equal("disabled", false)
	if strings.Contains(o.Raw, "enigma") || strings.Contains(o.Raw, "argon2") {
		t.Error(o.Raw)
	}
	r.as("POST", "/api/v1/operators", obj{"email": "alan@example.com", "name": "Alan", "role": "support", "password": "enigma is no longer secret 1"}).refused(409, "OPERATOR_EXISTS")
	weak := r.as("POST", "/api/v1/operators", obj{"email": "b@example.com", "name": "Bob", "role": "support", "password": "bob"}).refused(400, "WEAK_PASSWORD")
	if f := weak.fields(); !strings.Contains(f, "/password PASSWORD_TOO_SHORT") {
		t.Error(f)
	}
	if f := r.as("POST", "/api/v1/operators", `{"email":1,"role":[]}`).refused(400, "INVALID_EMAIL_FORMAT").fields(); f != "/email INVALID_EMAIL_FORMAT, /role INVALID_FIELD, /name MISSING_FIELD, /password MISSING_FIELD" {
		t.Error(f)
	}
	p := r.as("POST", "/api/v1/tokens", obj{"name": "report", "role": "support"}).want(201)
	support := p.text("token")
	if !strings.HasPrefix(support, "kat_") {
		t.Error(p.Raw)
	}
	if f := r.as("POST", "/api/v1/tokens", obj{"role": "boss"}).refused(400, "MISSING_FIELD").fields(); f != "/name MISSING_FIELD, /role INVALID_FIELD" {
		t.Error(f)
	}
	// The role holds: support looks and changes nothing, a provisioner works but does not administer.
	id, _ := r.signUp(1, "enterprise")
	r.call("GET", "/api/v1/requests", nil, bearer(support)).want(200)
	for _, path := range []string{"/api/v1/requests/claim-next", "/api/v1/requests/" + id + "/claim", "/api/v1/requests/" + id + "/cancel", "/api/v1/requests/" + id + "/retry"} {
		r.call("POST", path, nil, bearer(support)).refused(403, "FORBIDDEN")
	}
	r.call("POST", "/api/v1/operators", `{"email":1}`, bearer(support)).refused(403, "FORBIDDEN")
	worker := r.tokenFor("worker", hub.Provisioner)
	r.call("POST", "/api/v1/tokens", obj{"name": "x", "role": "admin"}, bearer(worker)).refused(403, "FORBIDDEN")
	list := r.as("GET", "/api/v1/operators?limit=1", nil).want(200)
	next := r.as("GET", "/api/v1/operators?limit=1&cursor="+list.text(".next_cursor"), nil).want(200)
	if len(list.list()) != 1 || len(next.list()) != 1 || list.text("0.id") == next.text("0.id") || next.JSON["next_cursor"] != nil {
		t.Error(list.Raw, next.Raw)
	}
}
