package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestOnboarding(t *testing.T) {
	r := newRig(t)
	p := r.call("POST", "/api/v1/onboarding", obj{
		"email": "  Ada@Example.COM ", "company_name": "O'Neil & <b>Söhne</b>", "contact_name": "Ada", "plan": "basic", "features": []string{"pos"},
		"phone": "+1 541", "billing_cycle": "yearly", "billing_address": obj{"street": "1 Market St", "city": "X", "state": "OR", "zip": "9", "country": "US"},
		"referral_source": "a friend", "special_requirements": "two\nlines",
	}).want(201)
	p.equal(".success", true).equal("customer.email", "ada@example.com").equal("customer.company_name", "O'Neil & <b>Söhne</b>")
	p.equal("request.status", "pending").equal("request.plan", "basic").equal("request.priority", 0).equal("position", 1).equal("ahead_in_queue", 0)
	if !strings.HasPrefix(p.text("request.id"), "req_") || !strings.HasPrefix(p.text("customer.id"), "cus_") || !strings.HasSuffix(p.text("status_url"), "/status/"+p.text("status_token")) {
		t.Error(p.Raw)
	}
	if f := p.at("request.features"); !strings.Contains(p.Raw, `"core"`) || !strings.Contains(p.Raw, `"pos"`) {
		t.Error(f)
	}
	if !strings.Contains(p.Raw, "<b>Söhne</b>") || p.Header.Get("Content-Type") != "application/json" || !strings.HasSuffix(p.text("request.created_at"), "Z") {
		t.Error(p.Raw, p.Header)
	}
	dup := r.call("POST", "/api/v1/onboarding", obj{"email": "ADA@example.com", "company_name": "x", "contact_name": "y", "plan": "starter"}).refused(409, "CUSTOMER_EXISTS")
	if dup.fields() != "/email CUSTOMER_EXISTS" {
		t.Error(dup.Raw)
	}
	r.call("POST", "/api/v1/status/cancel", nil, bearer(p.text("status_token"))).want(200).equal("status", "cancelled")
	r.call("POST", "/api/v1/onboarding", obj{"email": "ada@example.com", "company_name": "x", "contact_name": "y", "plan": "starter"}).want(201)
}

func TestOnboardingTellsEveryWrongField(t *testing.T) {
	r := newRig(t)
	good := `"company_name":"c","contact_name":"n","plan":"starter"`
	for _, c := range []struct {
		name, body string
		code       string
		fields     string
	}{
		{"nothing", `{}`, "MISSING_EMAIL", "/email MISSING_EMAIL, /company_name MISSING_FIELD, /contact_name MISSING_FIELD, /plan MISSING_FIELD"},
		{"null is missing", `{"email":null,"company_name":null,"contact_name":"x","plan":"starter"}`, "MISSING_EMAIL", "/email MISSING_EMAIL, /company_name MISSING_FIELD"},
		{"blank is missing", `{"email":"  ","company_name":" ","contact_name":"x","plan":"starter"}`, "MISSING_EMAIL", "/email MISSING_EMAIL, /company_name MISSING_FIELD"},
		{"email of another type", `{"email":7,` + good + `}`, "INVALID_EMAIL_FORMAT", "/email INVALID_EMAIL_FORMAT"},
		{"email without a dot", `{"email":"a@b",` + good + `}`, "INVALID_EMAIL_FORMAT", "/email INVALID_EMAIL_FORMAT"},
		{"email with a control character", `{"email":"a\u0000@b.de",` + good + `}`, "INVALID_EMAIL_FORMAT", "/email INVALID_EMAIL_FORMAT"},
		{"plan unknown", `{"email":"a@b.de","company_name":"c","contact_name":"n","plan":"gold"}`, "UNKNOWN_PLAN", "/plan UNKNOWN_PLAN"},
		{"plan of another type", `{"email":"a@b.de","company_name":"c","contact_name":"n","plan":["starter"]}`, "INVALID_FIELD", "/plan INVALID_FIELD"},
		{"feature unknown", `{"email":"a@b.de","features":["inventory","magic"],` + good + `}`, "UNKNOWN_FEATURE", "/features/1 UNKNOWN_FEATURE"},
		{"feature not in plan", `{"email":"a@b.de","features":["crm"],` + good + `}`, "FEATURE_NOT_IN_PLAN", "/features/0 FEATURE_NOT_IN_PLAN"},
		{"features of another type", `{"email":"a@b.de","features":"inventory",` + good + `}`, "INVALID_FIELD", "/features INVALID_FIELD"},
		{"a feature of another type", `{"email":"a@b.de","features":[1,"magic",null],` + good + `}`, "INVALID_FIELD", "/features/0 INVALID_FIELD, /features/2 INVALID_FIELD, /features/1 UNKNOWN_FEATURE"},
		{"optional field of another type alone", `{"email":"a@b.de","phone":123,` + good + `}`, "INVALID_FIELD", "/phone INVALID_FIELD"},
		{"address of another type", `{"email":"a@b.de","billing_address":"here",` + good + `}`, "INVALID_FIELD", "/billing_address INVALID_FIELD"},
		{"part of the address", `{"email":"a@b.de","billing_address":{"city":7},` + good + `}`, "INVALID_FIELD", "/billing_address/city INVALID_FIELD"},
		{"billing cycle", `{"email":"a@b.de","billing_cycle":"weekly",` + good + `}`, "INVALID_FIELD", "/billing_cycle INVALID_FIELD"},
		{"decoding and validation together", `{"email":true,"plan":"gold","phone":[],"billing_cycle":"x"}`, "INVALID_EMAIL_FORMAT", "/email INVALID_EMAIL_FORMAT, /company_name MISSING_FIELD, /contact_name MISSING_FIELD, /plan UNKNOWN_PLAN, /phone INVALID_FIELD, /billing_cycle INVALID_FIELD"},
		{"too long", `{"email":"a@b.de","referral_source":"` + strings.Repeat("x", 201) + `",` + good + `}`, "INVALID_FIELD", "/referral_source INVALID_FIELD"},
		{"syntax", `{"email":"a@b.de",}`, "INVALID_JSON", ""},
		{"cut", `{"email":"a@b.de"`, "INVALID_JSON", ""},
		{"twice", `{"email":"a@b.de","email":"b@b.de",` + good + `}`, "INVALID_JSON", "/email INVALID_JSON"},
		{"twice inside", `{"email":"a@b.de","billing_address":{"city":"a","city":"b"},` + good + `}`, "INVALID_JSON", "/billing_address/city INVALID_JSON"},
		{"unknown", `{"email":"a@b.de","companyname":"c","z":1,` + good + `}`, "INVALID_JSON", "/companyname INVALID_JSON, /z INVALID_JSON"},
		{"unknown inside", `{"email":"a@b.de","billing_address":{"a/b~c":1},` + good + `}`, "INVALID_JSON", "/billing_address/a~1b~0c INVALID_JSON"},
		{"trailing", `{"email":"a@b.de",` + good + `} {}`, "INVALID_JSON", ""},
		{"a list", `[]`, "INVALID_JSON", ""},
		{"a null", `null`, "INVALID_JSON", ""},
		{"a text", `"x"`, "INVALID_JSON", ""},
		{"empty", ``, "INVALID_JSON", ""},
		{"bad UTF-8", "{\"email\":\"a@b.de\",\"phone\":\"\xff\"," + good + "}", "INVALID_JSON", ""},
		{"half a surrogate", `{"email":"a@b.de","phone":"\ud800",` + good + `}`, "INVALID_JSON", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := r.call("POST", "/api/v1/onboarding", c.body).refused(400, c.code)
			if p.fields() != c.fields {
				t.Errorf("got  %s\nwant %s", p.fields(), c.fields)
			}
		})
	}
	// A mebibyte of mistakes is not answered with sixty.
	for _, body := range []string{
		`{"features":[` + strings.Repeat(`"x",`, 200000) + `"x"]}`, `{"` + strings.Repeat("x", 900000) + `":1}`, `{"a":1,"` + strings.Repeat("x", 400000) + `":1,"` + strings.Repeat("x", 400000) + `":1}`,
		manyNames(100000),
	} {
		if p := r.call("POST", "/api/v1/onboarding", body).want(400); len(p.Raw) > 50000 {
			t.Errorf("%d bytes of answer to %s…", len(p.Raw), body[:40])
		}
	}
	r.as("GET", "/api/v1/requests", nil).want(200).equal(".data", "[]") // nothing of it was kept
}

func TestLookupTellsNobody(t *testing.T) {
	r := newRig(t)
	r.signUp(1, "enterprise")
	known := r.call("POST", "/api/v1/status/lookup", obj{"email": "P1@example.com"}).want(202)
	unknown := r.call("POST", "/api/v1/status/lookup", obj{"email": "nobody@example.com"}).want(202)
	if known.Raw != unknown.Raw {
		t.Errorf("%s differs from %s", known.Raw, unknown.Raw)
	}
	r.call("POST", "/api/v1/status/lookup", obj{"email": "x"}).refused(400, "INVALID_EMAIL_FORMAT")
	r.call("POST", "/api/v1/status/lookup", obj{"email": 1}).refused(400, "INVALID_EMAIL_FORMAT")
	r.call("POST", "/api/v1/status/lookup", obj{}).refused(400, "MISSING_EMAIL")
	r.work()
	for over := time.After(patience); ; {
		select {
		case l := <-r.mails:
			if l.Kind == "link" {
				token := l.StatusURL[strings.LastIndex(l.StatusURL, "/")+1:]
				r.call("GET", "/api/v1/status", nil, bearer(token)).want(200).equal("status", "pending")
				return
			}
		case <-over:
			t.Fatal("no mail has the link")
		}
	}
}

func manyNames(n int) string {
	var b strings.Builder
	b.WriteString(`{"a":1`)
	for i := range n {
		fmt.Fprintf(&b, `,"%x":1`, i)
	}
	return b.String() + "}"
}
