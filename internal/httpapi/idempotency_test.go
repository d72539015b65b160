package httpapi_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

func TestRepetitionGetsTheFirstAnswer(t *testing.T) {
	r := newRig(t)
	for name, c := range map[string]struct {
		path   string
		body   any
		header string
		status int
	}{
		"sign-up":        {"/api/v1/onboarding", person(1, "enterprise"), "", 201},
		"look-up":        {"/api/v1/status/lookup", obj{"email": "x@example.com"}, "", 202},
		"operator":       {"/api/v1/operators", obj{"email": "o@example.com", "name": "O", "role": "support", "password": "enigma is no longer secret 1"}, bearer(r.token), 201},
		"token":          {"/api/v1/tokens", obj{"name": "n", "role": "support"}, bearer(r.token), 201},
		"kept refusal":   {"/api/v1/operators", obj{"email": adminMail, "name": "O", "role": "support", "password": "enigma is no longer secret 1"}, bearer(r.token), 409},
		"unkept refusal": {"/api/v1/requests/req_0/claim", nil, bearer(r.token), 404},
	} {
		t.Run(name, func(t *testing.T) {
			key := "Idempotency-Key: k-" + name
			first := r.call("POST", c.path, c.body, c.header, key).want(c.status)
			kept := c.status != 404
			again := r.call("POST", c.path, c.body, c.header, `Idempotency-Key: "k-`+name+`"`)
			if (again.Header.Get("Idempotency-Replayed") == "true") != kept || again.Status != first.Status {
				t.Error(again.Status, again.Header)
			}
			if kept && (again.Raw != first.Raw || again.Header.Get("Content-Type") != first.Header.Get("Content-Type")) {
				t.Errorf("%s\n%s", first.Raw, again.Raw)
			}
			if kept {
				r.call("POST", c.path, obj{"email": "other@example.com"}, c.header, key).refused(422, "IDEMPOTENCY_MISMATCH")
			}
		})
	}
}

func TestKeyIsThePrincipalsAndTheRoutes(t *testing.T) {
	r := newRig(t)
	a, _ := r.signUp(1, "enterprise")
	b, tb := r.signUp(2, "enterprise")
	other := r.tokenFor("other", hub.Admin)
	key := "Idempotency-Key: k"
	first := r.as("POST", "/api/v1/requests/"+a+"/claim", nil, key).want(200)
	r.as("POST", "/api/v1/requests/"+b+"/claim", nil, key).want(200).equal("id", b)                         // another path
	r.call("POST", "/api/v1/requests/"+a+"/claim", nil, key, bearer(other)).refused(409, "ALREADY_CLAIMED") // another caller
	if again := r.as("POST", "/api/v1/requests/"+a+"/claim", `{}`, key).want(200); again.Raw != first.Raw { // no body and {} are the same
		t.Error(again.Raw)
	}
	r.as("POST", "/api/v1/requests/"+a+"/release", nil, key).want(200) // another route
	// What was replayed was not done again.
	r.as("GET", "/api/v1/requests/"+a, nil).want(200).equal("status", "pending")
	// A key whose call was refused as malformed is free.
	r.call("POST", "/api/v1/onboarding", `{`, key).refused(400, "INVALID_JSON")
	r.call("POST", "/api/v1/onboarding", obj{}, key).refused(400, "MISSING_EMAIL")
	r.call("POST", "/api/v1/onboarding", person(3, "starter"), key).want(201)
	r.call("POST", "/api/v1/status/cancel", nil, key, bearer(tb)).want(200)
	if p := r.call("POST", "/api/v1/status/cancel", nil, key, bearer(tb)).want(200); p.Header.Get("Idempotency-Replayed") != "true" {
		t.Error(p.Header)
	}
	r.call("POST", "/api/v1/status/cancel", nil, key, bearer("kst_other")).refused(401, "UNAUTHENTICATED")
	for _, bad := range []string{`""`, `"x`, strings.Repeat("k", 256)} {
		p := r.as("POST", "/api/v1/requests/claim-next", nil, "Idempotency-Key: "+bad).refused(400, "INVALID_FIELD")
		if p.fields() != "/Idempotency-Key INVALID_FIELD" {
			t.Error(p.Raw)
		}
	}
	r.as("GET", "/api/v1/requests", nil, `Idempotency-Key: "`).want(200) // looking needs none
}

// Many copies at once: one effect; each copy gets that answer or is told that the first is still running.
func TestCopiesAtOnce(t *testing.T) {
	r := newRig(t)
	var wg sync.WaitGroup
	answers := make(chan reply, 12)
	for range cap(answers) {
		wg.Go(func() { answers <- r.call("POST", "/api/v1/onboarding", person(1, "starter"), "Idempotency-Key: once") })
	}
	wg.Wait()
	close(answers)
	bodies := map[string]bool{}
	for p := range answers {
		switch p.Status {
		case 201:
			bodies[p.Raw] = true
		case 409:
			p.refused(409, "IDEMPOTENCY_IN_FLIGHT")
		default:
			t.Error(p.Status, p.Raw)
		}
	}
	if len(bodies) != 1 {
		t.Errorf("%d different answers", len(bodies))
	}
	if n := len(r.as("GET", "/api/v1/requests", nil).want(200).list()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// Every mutation that the document says takes a key does: the second call gets the first answer's bytes. A new one is missing here until
// it is tried.
func TestEveryMutationTakesAKey(t *testing.T) {
	r := newRig(t)
	me := r.call("GET", "/api/v1/auth/me", nil, r.session(adminMail, password)).want(200).text("operator.id")
	n := 10
	fresh := func(moves ...string) string { // a request on which these moves were made
		n++
		id, _ := r.signUp(n, "enterprise")
		for _, m := range moves {
			r.as("POST", "/api/v1/requests/"+id+"/"+m, nil).want(200)
		}
		return "/api/v1/requests/" + id
	}
	failed := fresh("claim")
	ok(t, r.Store.Write(t.Context(), func(tx hub.Tx) error {
		q, err := tx.LockRequest(t.Context(), strings.TrimPrefix(failed, "/api/v1/requests/"))
		if err != nil {
			return err
		}
		q.State = hub.Failed
		return tx.UpdateRequest(t.Context(), q)
	}))
	r.signUp(3, "enterprise") // the head of the line, for claim-next
	_, leaver := r.signUp(1, "enterprise")
	calls := map[string]struct {
		path string
		body any
		as   string
	}{
		"signUp":           {"/api/v1/onboarding", person(2, "starter"), ""},
		"lookupStatus":     {"/api/v1/status/lookup", obj{"email": "a@example.com"}, ""},
		"cancelOwnRequest": {"/api/v1/status/cancel", nil, leaver},
		"claimNext":        {"/api/v1/requests/claim-next", nil, r.token},
		"claim":            {fresh() + "/claim", nil, r.token},
		"release":          {fresh("claim") + "/release", nil, r.token},
		"cancel":           {fresh() + "/cancel", nil, r.token},
		"retry":            {failed + "/retry", nil, r.token},
		"assign":           {fresh() + "/assign", obj{"operator_id": me}, r.token},
		"setPriority":      {fresh() + "/priority", obj{"priority": 1}, r.token},
		"setNotes":         {fresh() + "/notes", obj{"text": "x"}, r.token},
		"giveCredentials":  {fresh("claim") + "/credentials", obj{"provider": "sqlite"}, r.token},
		"testConnection":   {"/api/v1/connections/test", obj{"provider": "manual", "connection_string": testkit.Postgres(t)}, r.token},
		"createOperator":   {"/api/v1/operators", obj{"email": "o@example.com", "name": "O", "role": "support", "password": "enigma is no longer secret 1"}, r.token},
		"createToken":      {"/api/v1/tokens", obj{"name": "n", "role": "support"}, r.token},
	}
	spec := r.call("GET", "/openapi.json", nil).want(200)
	for _, item := range spec.JSON["paths"].(map[string]any) {
		op, _ := item.(map[string]any)["post"].(map[string]any)
		params, _ := op["parameters"].([]any)
		takes := false
		for _, p := range params {
			takes = takes || p.(map[string]any)["$ref"] == "#/components/parameters/IdempotencyKey"
		}
		if !takes {
			continue
		}
		id := op["operationId"].(string)
		c, known := calls[id]
		if !known {
			t.Errorf("%s is not tried", id)
			continue
		}
		delete(calls, id)
		headers := []string{"Idempotency-Key: every"}
		if c.as != "" {
			headers = append(headers, bearer(c.as))
		}
		first, again := r.call("POST", c.path, c.body, headers...), r.call("POST", c.path, c.body, headers...)
		if first.Status/100 != 2 || again.Status != first.Status || again.Raw != first.Raw || again.Header.Get("Idempotency-Replayed") != "true" ||
			first.Header.Get("Location") != again.Header.Get("Location") {
			t.Errorf("%s: %d %s\n%d %s", id, first.Status, first.Raw, again.Status, again.Raw)
		}
	}
	if len(calls) > 0 {
		t.Errorf("not in the document: %v", calls)
	}
}
