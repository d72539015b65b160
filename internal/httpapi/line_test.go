package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

func ids(p reply) []string {
	var out []string
	for _, v := range p.list() {
		out = append(out, v.(map[string]any)["id"].(string))
	}
	return out
}

func TestTheLineInItsOrderAndItsFilters(t *testing.T) {
	r := newRig(t)
	r.session(adminMail, password) // somebody works the line, so there is a forecast
	a, _ := r.signUp(1, "starter")
	b, _ := r.signUp(2, "professional")
	c, _ := r.signUp(3, "enterprise")
	d, tok := r.signUp(4, "enterprise")
	line := fmt.Sprint([]string{c, d, b, a})
	all := r.as("GET", "/api/v1/requests", nil).want(200)
	if fmt.Sprint(ids(all)) != line || all.JSON["next_cursor"] != nil {
		t.Fatalf("%v, want %v", ids(all), line)
	}
	all.equal("0.customer.email", "p3@example.com").equal("0.assigned_to", nil).equal("0.overdue", false).equal("0.provisioning", "operator")
	var walked []string
	path, pages := "/api/v1/requests?limit=1", 0
	for cursor := ""; ; pages++ {
		p := r.as("GET", path+"&cursor="+cursor, nil).want(200)
		walked = append(walked, ids(p)...)
		next, more := p.JSON["next_cursor"].(string)
		if !more {
			break
		}
		if url.QueryEscape(next) != next {
			t.Errorf("%s is not safe in a URL", next)
		}
		cursor = next
	}
	if fmt.Sprint(walked) != line || pages != 3 {
		t.Errorf("%v in %d pages, want %v", walked, pages+1, line)
	}
	r.as("POST", "/api/v1/requests/"+b+"/claim", `{}`).want(200)
	for query, want := range map[string][]string{
		"status=all": {c, d, b, a}, "status=pending": {c, d, a}, "status=in_progress": {b}, "status=failed": {}, "plan=enterprise": {c, d}, "assigned_to=me": {b},
		"assigned_to=auto": {}, "q=P4@EXAMPLE": {d}, "q=Company+3": {c}, "overdue=true": {}, "overdue=false": {c, d, b, a}, "status=&plan=&q=": {c, d, b, a},
		"status=pending&plan=enterprise&q=p4": {d}, "unknown=1": {c, d, b, a},
	} {
		if got := ids(r.as("GET", "/api/v1/requests?"+query, nil).want(200)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", query, got, want)
		}
	}
	for query, want := range map[string]string{
		"status=done": "/status INVALID_FIELD", "plan=gold": "/plan INVALID_FIELD", "assigned_to=someone": "/assigned_to INVALID_FIELD", "overdue=maybe": "/overdue INVALID_FIELD",
		"limit=0": "/limit INVALID_FIELD", "limit=201": "/limit INVALID_FIELD", "limit=x": "/limit INVALID_FIELD", "status=failed&status=pending": "/status INVALID_FIELD",
		"q=%00": "/q INVALID_FIELD", "q=%ff": "/q INVALID_FIELD", "q=%zz": "/query INVALID_FIELD", "cursor=x": "/cursor INVALID_CURSOR", "cursor=bnVsbA": "/cursor INVALID_CURSOR",
		"status=done&plan=gold&limit=x": "/plan INVALID_FIELD, /status INVALID_FIELD, /limit INVALID_FIELD",
	} {
		code := want[strings.Index(want, " ")+1:]
		code, _, _ = strings.Cut(code, ",")
		if got := r.as("GET", "/api/v1/requests?"+query, nil).refused(400, code).fields(); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	// Place and wait, as the customer and the operator see them.
	s := r.call("GET", "/api/v1/status", nil, bearer(tok)).want(200)
	s.equal("status", "pending").equal("position", 2).equal("ahead_in_queue", 1).equal("progress.total", 0).equal("progress.steps", "[]").equal("customer.company_name", "Company 4").equal("credentials_available", false)
	s.equal("estimated_wait.basis", "prior")
	r.as("GET", "/api/v1/requests/"+d, nil).want(200).equal("position", 2).equal("estimated_wait.basis", "prior").equal("customer.email", "p4@example.com")
	r.as("GET", "/api/v1/requests/"+d+"/steps", nil).want(200).equal(".data", "[]")
	st := r.as("GET", "/api/v1/stats", nil).want(200)
	st.equal("pending", 3).equal("in_progress", 1).equal("pending_by_priority.2", 2).equal("pending_by_priority.0", 1).equal("completed_today", 0).equal("throughput_per_hour", 0)
}

// Where nobody works no number is made up.
func TestUnknownWaitIsNull(t *testing.T) {
	r := newRig(t)
	_, tok := r.signUp(1, "enterprise")
	s := r.call("GET", "/api/v1/status", nil, bearer(tok)).want(200)
	s.equal("estimated_wait.basis", "unknown").equal("estimated_wait.p50_seconds", nil).equal("estimated_wait.p90_seconds", nil).equal("estimated_wait_hours", nil)
	if s.text("reason") == "" {
		t.Error(s.Raw)
	}
	r.call("POST", "/api/v1/status/cancel", `{}`, bearer(tok)).want(200)
	s = r.call("GET", "/api/v1/status", nil, bearer(tok)).want(200)
	s.equal("status", "cancelled").equal("position", 0).equal("ahead_in_queue", 0).equal("estimated_wait.p50_seconds", 0).equal("estimated_wait_hours", 0)
	r.call("POST", "/api/v1/status/cancel", nil, bearer(tok)).refused(409, "INVALID_TRANSITION").equal(".request_status", "cancelled")
	r.call("POST", "/api/v1/status/credentials", nil, bearer(tok)).refused(409, "INVALID_TRANSITION")
}

func TestMoves(t *testing.T) {
	r := newRig(t)
	id, _ := r.signUp(1, "enterprise")
	req := "/api/v1/requests/" + id
	other := r.tokenFor("other", hub.Provisioner)
	r.call("POST", req+"/claim", nil, bearer(other)).want(200).equal("status", "in_progress").equal("assigned_to_name", "other")
	for _, tok := range []string{other, r.token} { // also for its holder
		p := r.call("POST", req+"/claim", nil, bearer(tok)).refused(409, "ALREADY_CLAIMED")
		if s, _ := p.JSON["assigned_to"].(string); !strings.HasPrefix(s, "tok_") {
			t.Error(p.Raw)
		}
	}
	third := r.tokenFor("third", hub.Provisioner)
	r.call("POST", req+"/release", nil, bearer(third)).refused(403, "FORBIDDEN")
	r.call("POST", req+"/release", nil, bearer(other)).want(200).equal("status", "pending").equal("assigned_to", nil)
	r.call("POST", req+"/release", nil, bearer(other)).refused(409, "INVALID_TRANSITION").equal(".request_status", "pending").equal(".move", "release")
	r.as("POST", req+"/retry", nil).refused(409, "INVALID_TRANSITION")
	r.as("POST", req+"/priority", obj{"priority": 0}).want(200).equal("priority", 0)
	for body, want := range map[string]string{`{"priority":3}`: "/priority INVALID_FIELD", `{"priority":"1"}`: "/priority INVALID_FIELD", `{"priority":1.5}`: "/priority INVALID_FIELD"} {
		if got := r.as("POST", req+"/priority", body).refused(400, "INVALID_FIELD").fields(); got != want {
			t.Errorf("%s: %s", body, got)
		}
	}
	r.as("POST", req+"/priority", `{"priority":null}`).refused(400, "MISSING_FIELD")
	r.as("POST", req+"/notes", obj{"text": "Call <back>"}).want(200).equal("notes", "Call <back>")
	r.as("POST", req+"/notes", `{}`).refused(400, "MISSING_FIELD")
	r.as("POST", req+"/notes", `{"text":["x"]}`).refused(400, "INVALID_FIELD")
	r.as("POST", req+"/notes", obj{"text": ""}).want(200).equal("notes", "")
	me := r.call("GET", "/api/v1/auth/me", nil, r.session(adminMail, password)).want(200).text("operator.id")
	r.as("POST", req+"/assign", obj{"operator_id": me}).want(200).equal("assigned_to", me).equal("status", "in_progress").equal("assigned_to_name", "Grace")
	r.as("POST", req+"/assign", obj{"operator_id": "opr_nobody"}).refused(400, "INVALID_FIELD")
	r.as("POST", req+"/assign", obj{"operator_id": "x\x00"}).refused(400, "INVALID_FIELD")
	r.as("POST", req+"/assign", obj{}).refused(400, "MISSING_FIELD")
	// A move takes no body but {}; the actor is never in one.
	r.as("POST", req+"/release", `{"operator_id":"x"}`).refused(400, "INVALID_JSON")
	r.as("POST", req+"/release", `[]`).refused(400, "INVALID_JSON")
	r.as("POST", req+"/release", `x`, "Content-Type: text/plain").refused(415, "UNSUPPORTED_MEDIA_TYPE")
	r.as("POST", req+"/cancel", ` {} `).want(200).equal("status", "cancelled")
	r.as("POST", req+"/claim", nil).refused(409, "INVALID_TRANSITION")
	r.as("POST", "/api/v1/requests/claim-next", nil).refused(404, "QUEUE_EMPTY")
	// Ids that are unknown, of another kind or impossible.
	for _, bad := range []string{"req_0000", "ten_0000", "x", "req_%00", "req_%ff", "req_A", "req_" + strings.Repeat("a", 500)} {
		for _, path := range []string{"", "/steps", "/events"} {
			r.as("GET", "/api/v1/requests/"+bad+path, nil).refused(404, "NOT_FOUND")
		}
		r.as("POST", "/api/v1/requests/"+bad+"/claim", nil).refused(404, "NOT_FOUND")
		r.as("GET", "/api/v1/tenants/"+bad, nil).refused(404, "NOT_FOUND")
		r.as("POST", "/api/v1/tenants/"+bad+"/reveal", nil).refused(404, "NOT_FOUND")
		r.as("GET", "/api/v1/operations/"+bad, nil).refused(404, "NOT_FOUND")
	}
}

// Of many claims of one request one wins.
func TestOneWinner(t *testing.T) {
	r := newRig(t)
	id, _ := r.signUp(1, "enterprise")
	var wg sync.WaitGroup
	status := make(chan int, 10)
	for range cap(status) {
		wg.Go(func() { status <- r.as("POST", "/api/v1/requests/"+id+"/claim", nil).Status })
	}
	wg.Wait()
	close(status)
	won := 0
	for s := range status {
		switch s {
		case 200:
			won++
		case 409:
		default:
			t.Errorf("status %d", s)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

// The main job over the API: an operator has the hub make the backend, follows the operation, and the customer takes the details once.
func TestCredentialsToReady(t *testing.T) {
	r := newRig(t)
	id, tok := r.signUp(1, "enterprise")
	req := "/api/v1/requests/" + id
	r.as("POST", req+"/credentials", obj{"provider": "sqlite"}).refused(409, "INVALID_TRANSITION")
	r.as("POST", req+"/claim", nil).want(200)
	for body, want := range map[string]string{
		`{}`: "/provider MISSING_FIELD", `{"provider":7}`: "/provider INVALID_FIELD",
		`{"provider":"sqlite","region":"eu"}`: "/region INVALID_JSON", `{"provider":"nothing"}`: "/provider INVALID_FIELD",
	} {
		if got := r.as("POST", req+"/credentials", body).want(400).fields(); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	p := r.as("POST", req+"/credentials", obj{"provider": "sqlite"}, "Idempotency-Key: make").want(202)
	op := p.text("operation_id")
	if p.Header.Get("Location") != "/api/v1/operations/"+op || p.text("status") != "credentials_received" {
		t.Error(p.Header, p.Raw)
	}
	running := r.as("GET", p.Header.Get("Location"), nil).want(200).equal("status", "running").equal("done", false).equal("kind", "provision").equal("target", id)
	if running.Header.Get("Retry-After") == "" {
		t.Error(running.Header)
	}
	again := r.as("POST", req+"/credentials", obj{"provider": "sqlite"}, "Idempotency-Key: make").want(202)
	if again.Raw != p.Raw || again.Header.Get("Location") != p.Header.Get("Location") || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Error(again.Raw, again.Header)
	}
	events := r.stream(req+"/events", bearer(r.token))
	r.work()
	events.until(func(d map[string]any) bool { return d["status"] == "completed" })
	r.as("GET", "/api/v1/operations/"+op, nil).want(200).equal("status", "succeeded").equal("done", true).equal("progress.percent", 100)
	s := r.call("GET", "/api/v1/status", nil, bearer(tok)).want(200).equal("status", "completed").equal("progress.percent", 100).equal("credentials_available", true).equal("position", 0)
	if s.at("progress.completed") != s.at("progress.total") || s.at("progress.total") == 0.0 || s.text("progress.steps.0.finished_at") == "" {
		t.Error(s.Raw)
	}
	if steps := r.as("GET", req+"/steps", nil).want(200); steps.text("0.name") != "create" || steps.text("0.kind") != "create" {
		t.Error(steps.Raw)
	}
	k := r.call("POST", "/api/v1/status/credentials", `{}`, bearer(tok), "Idempotency-Key: not taken").want(200)
	if k.text("url") == "" || len(k.at("env").(map[string]any)) == 0 || k.Header.Get("Idempotency-Replayed") != "" || strings.Contains(k.Raw, "admin_url") {
		t.Error(k.Raw)
	}
	r.call("POST", "/api/v1/status/credentials", `{}`, bearer(tok), "Idempotency-Key: not taken").refused(409, "ALREADY_REVEALED")
	tenants := r.as("GET", "/api/v1/tenants?status=active", nil).want(200)
	ten := tenants.text("0.id")
	if strings.Contains(tenants.Raw, k.text("url")) || tenants.at("0.size_bytes") == 0.0 {
		t.Error(tenants.Raw)
	}
	r.as("GET", "/api/v1/tenants?status=asleep", nil).refused(400, "INVALID_FIELD")
	r.as("GET", "/api/v1/tenants/"+ten, nil).want(200).equal("request_id", id).equal("provider", "sqlite")
	r.as("POST", "/api/v1/tenants/"+ten+"/reveal", nil).want(200).equal("url", k.text("url"))
	log := r.as("GET", "/api/v1/audit?limit=2", nil).want(200)
	if len(log.list()) != 2 || log.text("0.action") != "tenant.reveal" || log.text("0.actor.name") != "root" || log.text("0.request_id") == "" {
		t.Error(log.Raw)
	}
	more := r.as("GET", "/api/v1/audit?limit=200&cursor="+log.text(".next_cursor"), nil).want(200)
	if !strings.Contains(more.Raw, "request.create") || strings.Contains(more.Raw, log.text("1.id")) {
		t.Error(more.Raw)
	}
	r.as("GET", "/api/v1/audit?cursor=x", nil).refused(400, "INVALID_CURSOR")
	if about := r.as("GET", "/api/v1/audit?target="+ten, nil).want(200); len(about.list()) == 0 || strings.Contains(about.Raw, "request.create") {
		t.Error(about.Raw)
	}
	r.as("GET", "/api/v1/stats", nil).want(200).equal("completed_today", 1).equal("pending", 0)
}
