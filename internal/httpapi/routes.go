package httpapi

import (
	"errors"
	"net/http"

	"github.com/kitshub/kitshub/internal/hub"
)

// route is one call of the API.
type route struct {
	method, path string
	policy       policy
	handle       handleFunc
	events       func(*call) error // for a stream, in place of handle
	stream       bool
	unbound      bool // bounds its own time
	noKey        bool // takes no Idempotency-Key: its answer must not be kept
	doc          doc
}

// check refuses what must not be served: a route nobody thought about who may call it, or that is not documented.
func (rt route) check() error {
	switch {
	case rt.policy == nobody:
		return errors.New("has no policy: say who may call it")
	case (rt.handle == nil) == (rt.events == nil) || rt.stream != (rt.events != nil):
		return errors.New("needs one handler")
	case rt.method != http.MethodGet && rt.method != http.MethodPost:
		return errors.New("has a method that serve does not know")
	case rt.doc.id == "" || rt.doc.tag == "" || rt.doc.summary == "" || (rt.doc.data == nil && !rt.stream):
		return errors.New("is not documented")
	}
	return nil
}

// The tags of the documentation.
const (
	tagPublic   = "Public"
	tagCustomer = "Waiting customer"
	tagSession  = "Session"
	tagLine     = "The line"
	tagTenants  = "Tenants"
	tagWork     = "Operations"
	tagAdmin    = "Administration"
	tagHealth   = "Health"
)

const v1 = "/api/v1"

// table is the one list of what the API serves.
func table() []route {
	var all []route
	for _, part := range [][]route{publicRoutes(), customerRoutes(), sessionRoutes(), lineRoutes(), moveRoutes(), tenantRoutes(), adminRoutes()} {
		all = append(all, part...)
	}
	return all
}

func publicRoutes() []route {
	return []route{
		{method: "GET", path: v1 + "/plans", policy: anybody, handle: plans, doc: doc{
			id: "listPlans", tag: tagPublic, summary: "Plans", text: "The plans of the catalog in force.", data: planDoc{}, many: true,
		}},
		{method: "GET", path: v1 + "/features", policy: anybody, handle: features, doc: doc{
			id: "listFeatures", tag: tagPublic, summary: "Features", text: "The features that plans are made of.", data: featureDoc{}, many: true,
		}},
		{method: "GET", path: v1 + "/stats/forecast", policy: anybody, handle: forecastRecord, doc: doc{
			id: "getForecastRecord", tag: tagPublic, summary: "How often the forecast was right", data: recordDoc{}, many: true,
			text: "How often the actual wait was within the first forecast, by plan, over the last 7 and 30 days.",
		}},
		{method: "POST", path: v1 + "/onboarding", policy: anybody, handle: onboard, doc: doc{
			id: "signUp", tag: tagPublic, summary: "Sign up", status: 201, body: signUpBody{}, data: signedUpDoc{},
			text:  "Puts a company in the line. Every wrong field is told at once. An email with a live request is refused; after a cancelled one it may sign up again.",
			codes: []hub.Code{hub.CodeMissingEmail, hub.CodeInvalidEmailFormat, hub.CodeMissingField, hub.CodeInvalidField, hub.CodeUnknownPlan, hub.CodeUnknownFeature, hub.CodeFeatureNotInPlan, hub.CodeCustomerExists},
		}},
		{method: "POST", path: v1 + "/status/lookup", policy: anybody, handle: lookupStatus, doc: doc{
			id: "lookupStatus", tag: tagPublic, summary: "Ask for a status link", status: 202, body: lookupBody{}, data: lookupDoc{},
			text:  "Mails a fresh status link if the address is known; older links stay valid. The answer is the same for every address.",
			codes: []hub.Code{hub.CodeMissingEmail, hub.CodeInvalidEmailFormat},
		}},
	}
}

func customerRoutes() []route {
	return []route{
		{method: "GET", path: v1 + "/status", policy: customer, handle: status, unbound: true, doc: doc{
			id: "getStatus", tag: tagCustomer, summary: "Status", text: "Place, wait and progress of the request that the status token belongs to.", data: statusDoc{},
		}},
		{method: "GET", path: v1 + "/status/events", policy: customer, stream: true, events: statusEvents, doc: doc{
			id: "streamStatus", tag: tagCustomer, summary: "Status as it changes", data: statusDoc{},
			text: "Server-sent events named status: the document of GET /api/v1/status at once, then its latest after each change, at most two a second. With Last-Event-ID a state that is known already is not sent again.",
		}},
		{method: "POST", path: v1 + "/status/cancel", policy: customer, handle: cancelByCustomer, doc: doc{
			id: "cancelOwnRequest", tag: tagCustomer, summary: "Leave the line", text: "Cancels the request.", data: placeDoc{}, codes: []hub.Code{hub.CodeInvalidTransition},
		}},
		{method: "POST", path: v1 + "/status/credentials", policy: customer, handle: revealToCustomer, noKey: true, doc: doc{
			id: "revealOwnCredentials", tag: tagCustomer, summary: "Take the connection details", data: credentialsDoc{},
			text: "Gives the connection details once, when the status is completed.", codes: []hub.Code{hub.CodeInvalidTransition, hub.CodeAlreadyRevealed},
		}},
	}
}

func sessionRoutes() []route {
	return []route{
		{method: "POST", path: v1 + "/auth/login", policy: browser, handle: login, noKey: true, doc: doc{
			id: "login", tag: tagSession, summary: "Log in", text: "Sets the session cookie. A wrong address and a wrong password answer the same.", body: loginBody{}, data: loggedInDoc{},
			codes: []hub.Code{hub.CodeMissingEmail, hub.CodeInvalidEmailFormat, hub.CodeMissingField, hub.CodeUnauthenticated, hub.CodeForbidden},
		}},
		{method: "POST", path: v1 + "/auth/logout", policy: operator, handle: logout, noKey: true, doc: doc{
			id: "logout", tag: tagSession, summary: "Log out", text: "Ends the session everywhere and clears the cookie.", data: loggedOutDoc{},
		}},
		{method: "GET", path: v1 + "/auth/me", policy: operator, handle: me, doc: doc{
			id: "getMe", tag: tagSession, summary: "Who am I", text: "The operator, or the API token, that calls.", data: loggedInDoc{},
		}},
	}
}

func lineRoutes() []route {
	return []route{
		{method: "GET", path: v1 + "/requests", policy: operator, handle: requests, doc: doc{
			id: "listRequests", tag: tagLine, summary: "The line", text: "Requests in the order of the line: priority, then time of entry, then id.", data: requestDoc{}, many: true, paged: true,
			query: []param{
				{"status", "Only those in this state; all is no filter.", []string{"all", "pending", "in_progress", "credentials_received", "migrating", "completed", "failed", "cancelled"}, "pending"},
				{"plan", "Only those of this plan.", nil, "starter"},
				{"assigned_to", "Only those of this operator: an id, me, or auto for the hub itself.", nil, "me"},
				{"q", "Only those with this in email, company or contact, in any case.", nil, "ada"},
				{"overdue", "Only those past their time.", []string{"true", "false"}, "true"},
			},
		}},
		{method: "GET", path: v1 + "/requests/{id}", policy: operator, handle: request, doc: doc{
			id: "getRequest", tag: tagLine, summary: "One request", text: "With place, wait and progress.", data: requestDetailDoc{},
		}},
		{method: "GET", path: v1 + "/requests/{id}/steps", policy: operator, handle: steps, doc: doc{
			id: "listSteps", tag: tagLine, summary: "Its steps", text: "Each step of the pipeline, in order, with its failure.", data: operatorStepDoc{}, many: true,
		}},
		{method: "GET", path: v1 + "/requests/{id}/events", policy: operator, stream: true, events: requestEvents, doc: doc{
			id: "streamRequest", tag: tagLine, summary: "One request as it changes", data: requestDetailDoc{},
			text: "Server-sent events named status: the document of GET /api/v1/requests/{id} at once, then its latest after each change, at most two a second.",
		}},
		{method: "POST", path: v1 + "/requests/claim-next", policy: operator, handle: claimNext, doc: doc{
			id: "claimNext", tag: tagLine, summary: "Claim the first one", text: "Claims the head of the line.", data: requestDoc{}, codes: []hub.Code{hub.CodeQueueEmpty},
		}},
	}
}

func moveRoutes() []route {
	moveDoc := func(id, summary, text string, codes ...hub.Code) doc {
		return doc{id: id, tag: tagLine, summary: summary, text: text, data: requestDoc{}, codes: append([]hub.Code{hub.CodeInvalidTransition}, codes...)}
	}
	withBody := func(d doc, body any) doc {
		d.body = body
		d.codes = append(d.codes, hub.CodeMissingField, hub.CodeInvalidField)
		return d
	}
	return []route{
		{method: "POST", path: v1 + "/requests/{id}/claim", policy: operator, handle: move(func(s *hub.Service) moveFunc { return s.Claim }), doc: moveDoc(
			"claim", "Claim", "Takes a pending request, or takes a failed one over by hand.", hub.CodeAlreadyClaimed)},
		{method: "POST", path: v1 + "/requests/{id}/release", policy: operator, handle: move(func(s *hub.Service) moveFunc { return s.Release }), doc: moveDoc(
			"release", "Release", "Gives a claimed request back to the line, at its old place.")},
		{method: "POST", path: v1 + "/requests/{id}/cancel", policy: operator, handle: move(func(s *hub.Service) moveFunc { return s.Cancel }), doc: moveDoc(
			"cancel", "Cancel", "Ends a request that is not being set up.")},
		{method: "POST", path: v1 + "/requests/{id}/retry", policy: operator, handle: move(func(s *hub.Service) moveFunc { return s.Retry }), doc: moveDoc(
			"retry", "Retry", "Takes a failed request up again, at the step that failed.")},
		{method: "POST", path: v1 + "/requests/{id}/assign", policy: operator, handle: assign, doc: withBody(moveDoc(
			"assign", "Assign", "Gives a request into another operator's hands."), assignBody{})},
		{method: "POST", path: v1 + "/requests/{id}/priority", policy: operator, handle: setPriority, doc: withBody(moveDoc(
			"setPriority", "Set its priority", "Moves a waiting request to another class of the line; its time of entry stays."), priorityBody{})},
		{method: "POST", path: v1 + "/requests/{id}/notes", policy: operator, handle: setNotes, doc: withBody(doc{
			id: "setNotes", tag: tagLine, summary: "Write notes", text: "Replaces the operators' notes on a request.", data: requestDoc{},
		}, notesBody{})},
		{method: "POST", path: v1 + "/requests/{id}/credentials", policy: operator, handle: giveCredentials, doc: withBody(doc{
			id: "giveCredentials", tag: tagLine, summary: "Give it a backend", status: 202, data: requestDoc{}, location: true,
			codes: append([]hub.Code{hub.CodeInvalidTransition}, brought...),
			text:  "Says who makes the database, or brings one, which is tested first; the pipeline then runs in the background. Location names the operation to follow.",
		}, connectionBody{})},
		{method: "POST", path: v1 + "/connections/test", policy: operator, handle: testConnection, doc: withBody(doc{
			id: "testConnection", tag: tagLine, summary: "Test a database that is brought", data: trialDoc{}, codes: brought,
			query: []param{{"request", "The request that it would be for: what was begun there for that one is no stranger's.", nil, "req_01ja8w1x5q0000000000000000"}},
			text:  "The test that credentials are given, with nothing given to anybody. It is over within ten seconds and changes nothing.",
		}, connectionBody{})},
	}
}

// brought are the refusals of a database that an operator brings.
var brought = []hub.Code{hub.CodeConnectionFailed, hub.CodeCredentialsInvalid, hub.CodeAddressRefused}

func tenantRoutes() []route {
	return []route{
		{method: "GET", path: v1 + "/tenants", policy: operator, handle: tenants, doc: doc{
			id: "listTenants", tag: tagTenants, summary: "Tenants", text: "Tenants by id; no secrets.", data: tenantDoc{}, many: true, paged: true,
			query: []param{{"status", "Only those in this state; all is no filter.", append([]string{"all"}, tenantStates...), "active"}},
		}},
		{method: "GET", path: v1 + "/tenants/{id}", policy: operator, handle: tenant, doc: doc{
			id: "getTenant", tag: tagTenants, summary: "One tenant", text: "Without its secrets.", data: tenantDoc{},
		}},
		{method: "POST", path: v1 + "/tenants/{id}/reveal", policy: operator, handle: reveal, noKey: true, doc: doc{
			id: "revealTenant", tag: tagTenants, summary: "Show its connection details", text: "Each look is audited.", data: credentialsDoc{}, codes: []hub.Code{hub.CodeInvalidTransition},
		}},
		{method: "GET", path: v1 + "/operations/{id}", policy: operator, handle: operation, doc: doc{
			id: "getOperation", tag: tagWork, summary: "Long work", text: "How far it is; Retry-After says when to ask again while it runs.", data: operationDoc{},
		}},
	}
}

func adminRoutes() []route {
	return []route{
		{method: "GET", path: v1 + "/stats", policy: operator, handle: stats, doc: doc{
			id: "getStats", tag: tagWork, summary: "Numbers", text: "Measured when asked for.", data: statsDoc{},
		}},
		{method: "GET", path: v1 + "/stats/what-if", policy: operator, handle: whatIf, doc: doc{
			id: "whatIf", tag: tagWork, summary: "What if", data: whatIfDoc{}, many: true,
			text: "How the line would move under another staffing, by the model that makes every forecast. What is not asked about stays as it is.",
			query: []param{
				{"operators", "Operators working.", nil, "3"},
				{"pool", "Backends that the hub makes side by side.", nil, "20"},
			},
			codes: []hub.Code{hub.CodeInvalidField},
		}},
		{method: "GET", path: v1 + "/audit", policy: operator, handle: audit, doc: doc{
			id: "listAudit", tag: tagAdmin, summary: "Log of changes", text: "The newest first.", data: auditDoc{}, many: true, paged: true,
			query: []param{{"target", "Only entries about this id.", nil, "req_01ja8w1x5q0000000000000000"}},
		}},
		{method: "GET", path: v1 + "/reconcile", policy: operator, handle: reconcile, doc: doc{
			id: "reconcile", tag: tagAdmin, summary: "What is there and what is on record", data: reconcileDoc{},
			text: "Admins only. Looked up when asked for; nothing is changed. kitshub reconcile mends.",
		}},
		{method: "GET", path: v1 + "/operators", policy: operator, handle: operators, doc: doc{
			id: "listOperators", tag: tagAdmin, summary: "Operators", text: "Who works the line.", data: operatorDoc{}, many: true, paged: true,
		}},
		{method: "POST", path: v1 + "/operators", policy: operator, handle: createOperator, doc: doc{
			id: "createOperator", tag: tagAdmin, summary: "Add an operator", text: "Admins only.", status: 201, body: newOperatorBody{}, data: operatorDoc{},
			codes: []hub.Code{hub.CodeMissingEmail, hub.CodeInvalidEmailFormat, hub.CodeMissingField, hub.CodeInvalidField, hub.CodeWeakPassword, hub.CodeOperatorExists},
		}},
		{method: "POST", path: v1 + "/tokens", policy: operator, handle: createToken, doc: doc{
			id: "createToken", tag: tagAdmin, summary: "Make an API token", text: "Admins only. The token is shown this once.", status: 201, body: newTokenBody{}, data: newTokenDoc{},
			codes: []hub.Code{hub.CodeMissingField, hub.CodeInvalidField},
		}},
	}
}
