package httpapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// doc says in the OpenAPI document what a route does. Everything that all routes of a kind have in common is added by the builder.
type doc struct {
	id, tag, summary, text string
	query                  []param
	body                   any // zero value of the body's struct; nil: the call takes no body, or {}
	status                 int // 0 is 200
	data                   any // zero value of what data holds (one item of it, if many)
	many, paged            bool
	location               bool
	codes                  []hub.Code
}

type param struct {
	name, text string
	values     []string
	example    string
}

// builder makes the document out of the route table. Only huma's model of OpenAPI and its reading of struct tags are used: its own router
// and validation would answer in their own form before ours could tell every wrong field at once.
type builder struct {
	api huma.OpenAPI
	reg huma.Registry
}

func document(version string, routes []route) ([]byte, error) {
	b := &builder{reg: huma.NewMapRegistry("#/components/schemas/", schemaName)}
	b.api = huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "KiTS Hub", Version: version,
			Description: "Signs customers up, keeps them in line, and makes a database of their own for each. Success is " +
				"`{\"success\":true,\"data\":…}`; every failure is an RFC 9457 problem document. Mutations take an `Idempotency-Key`.",
			Contact: &huma.Contact{Name: "KiTS Hub", URL: "https://github.com/kitshub/kitshub"},
		},
		Servers:    []*huma.Server{{URL: "/", Description: "This hub"}},
		Paths:      map[string]*huma.PathItem{},
		Components: &huma.Components{Schemas: b.reg, Responses: map[string]*huma.Response{}, Parameters: commonParams(), Headers: commonHeaders(), SecuritySchemes: securitySchemes()},
		Tags: []*huma.Tag{
			{Name: tagPublic, Description: "Needs no login."},
			{Name: tagCustomer, Description: "For who signed up, with the status token."},
			{Name: tagSession, Description: "Operators log in and out."},
			{Name: tagLine, Description: "Requests, and what operators do with them."},
			{Name: tagTenants, Description: "What came out of the requests."},
			{Name: tagWork, Description: "Long work and numbers."},
			{Name: tagAdmin, Description: "Who may do what, and who did what."},
			{Name: tagHealth, Description: "For machines that watch the hub."},
		},
	}
	b.health()
	for _, rt := range routes {
		b.add(rt)
	}
	for name, s := range b.reg.Map() {
		tidySchema(s, !strings.HasSuffix(name, "Body"))
	}
	out, err := json.MarshalIndent(&b.api, "", "  ")
	return append(out, '\n'), err
}

// schemaName: planDoc is Plan, signUpBody is SignUpBody.
func schemaName(t reflect.Type, hint string) string {
	return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "Doc")
}

// tidySchema: lists are never null here, and answers may get further members without notice, so they are open.
func tidySchema(s *huma.Schema, open bool) {
	if s == nil {
		return
	}
	if s.Type == huma.TypeArray {
		s.Nullable = false
	}
	if s.Type == huma.TypeObject && open && s.Properties != nil {
		s.AdditionalProperties = nil
	}
	for _, p := range s.Properties {
		tidySchema(p, open)
	}
	tidySchema(s.Items, open)
	for _, part := range s.AllOf {
		tidySchema(part, open)
	}
}

func (b *builder) schema(v any) *huma.Schema { return b.reg.Schema(reflect.TypeOf(v), true, "") }

func (b *builder) add(rt route) {
	d := rt.doc
	op := &huma.Operation{
		Method: rt.method, Path: rt.path, OperationID: d.id, Tags: []string{d.tag}, Summary: d.summary, Description: d.text,
		Security: security(rt.policy), Responses: map[string]*huma.Response{},
	}
	if strings.Contains(rt.path, "{id}") {
		op.Parameters = append(op.Parameters, &huma.Param{Name: "id", In: "path", Required: true, Description: "The id.", Schema: &huma.Schema{Type: "string"}, Example: pathExample(rt.path)})
	}
	for _, p := range d.query {
		op.Parameters = append(op.Parameters, queryParam(p))
	}
	if d.paged {
		op.Parameters = append(op.Parameters, paramRef("Limit"), paramRef("Cursor"))
	}
	if rt.stream {
		op.Parameters = append(op.Parameters, paramRef("LastEventID"))
	}
	if rt.method == "POST" && !rt.noKey {
		op.Parameters = append(op.Parameters, paramRef("IdempotencyKey"))
	}
	if d.body != nil {
		s := b.schema(d.body)
		op.RequestBody = &huma.RequestBody{Required: true, Description: "What to do it with.", Content: map[string]*huma.MediaType{"application/json": {Schema: s, Example: b.example(s)}}}
	}
	b.success(op, rt)
	for status, codes := range rt.refusals() {
		op.Responses[strconv.Itoa(status)] = b.refusal(codes)
	}
	b.api.AddOperation(op)
}

func pathExample(p string) string {
	for part, prefix := range map[string]string{"/requests/": "req_", "/tenants/": "ten_", "/operations/": "op_"} {
		if strings.Contains(p, part) {
			return prefix + "01ja8w1x5q0000000000000000"
		}
	}
	return "id"
}

func (b *builder) success(op *huma.Operation, rt route) {
	d := rt.doc
	status := d.status
	if status == 0 {
		status = 200
	}
	r := &huma.Response{Description: "Done.", Headers: map[string]*huma.Param{"X-Request-Id": headerRef("RequestID")}}
	item := b.schema(d.data)
	if rt.stream {
		line, err := json.Marshal(b.example(item))
		if err != nil {
			panic(err) // a route's own document; a test builds all of them
		}
		r.Description = "Events; data is the JSON document that the description names."
		r.Content = map[string]*huma.MediaType{"text/event-stream": {
			Schema: &huma.Schema{Type: "string"}, Example: "id: 9f86d081884c7d65\nevent: status\ndata: " + string(line) + "\n\n",
		}}
		op.Responses["200"] = r
		return
	}
	if d.many {
		item = &huma.Schema{Type: "array", Items: item}
	}
	yes := true
	s := &huma.Schema{Type: "object", Required: []string{"success", "data"}, Properties: map[string]*huma.Schema{
		"success": {Type: "boolean", Description: "Always true.", Enum: []any{yes}},
		"data":    item,
	}}
	if d.paged {
		s.Properties["next_cursor"] = &huma.Schema{Type: "string", Description: "Asks for the next page; absent at the end.", Examples: []any{"InRlbl8wMWphIg"}}
	}
	if rt.method == "POST" && !rt.noKey {
		r.Headers["Idempotency-Replayed"] = headerRef("IdempotencyReplayed")
	}
	if d.location {
		r.Headers["Location"] = headerRef("Location")
	}
	if rt.path == v1+"/operations/{id}" {
		r.Headers["Retry-After"] = headerRef("RetryAfter")
	}
	r.Content = map[string]*huma.MediaType{"application/json": {Schema: s, Example: b.example(s)}}
	op.Responses[strconv.Itoa(status)] = r
}

// refusals gives every code that the route can answer, by status: its own and what all of its kind have in common.
func (rt route) refusals() map[int][]hub.Code {
	codes := slices.Clone(rt.doc.codes)
	if rt.method == "POST" {
		codes = append(codes, hub.CodeInvalidJSON, hub.CodeBodyTooLarge, hub.CodeUnsupportedMediaType)
		if !rt.noKey {
			codes = append(codes, hub.CodeInvalidField, hub.CodeIdempotencyInFlight, hub.CodeIdempotencyMismatch)
		}
	}
	if rt.doc.paged {
		codes = append(codes, hub.CodeInvalidField, hub.CodeInvalidCursor)
	}
	if strings.Contains(rt.path, "{id}") {
		codes = append(codes, hub.CodeNotFound)
	}
	switch rt.policy {
	case customer, operator:
		codes = append(codes, hub.CodeUnauthenticated)
	}
	if rt.policy == operator && rt.method == "POST" {
		codes = append(codes, hub.CodeForbidden)
	}
	codes = append(codes, hub.CodeRateLimited, hub.CodeInternal, hub.CodeUnavailable)
	by := map[int][]hub.Code{}
	for _, c := range codes {
		s, _ := wire.StatusOf(c)
		if !slices.Contains(by[s], c) {
			by[s] = append(by[s], c)
		}
	}
	return by
}

// refusal documents the answer of one status. Where one code has it (as is usual), it is written once for all routes.
func (b *builder) refusal(codes []hub.Code) *huma.Response {
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = string(c)
	}
	p := wire.Sample(codes[0], v1+"/example")
	r := &huma.Response{
		Description: p.Title + ": " + names[0] + ".",
		Headers:     map[string]*huma.Param{"X-Request-Id": headerRef("RequestID")},
		Content:     map[string]*huma.MediaType{wire.ProblemJSON: {Schema: b.schema(p), Example: p}},
	}
	if p.Status == 429 || p.Status == 503 {
		r.Headers["Retry-After"] = headerRef("RetryAfter")
	}
	if p.Status == 429 {
		r.Headers["RateLimit"], r.Headers["RateLimit-Policy"] = headerRef("RateLimit"), headerRef("RateLimitPolicy")
	}
	if len(codes) > 1 {
		r.Description = "One of " + strings.Join(names, ", ") + "."
		r.Content[wire.ProblemJSON].Example = nil
		return r
	}
	b.api.Components.Responses[names[0]] = r
	return &huma.Response{Ref: "#/components/responses/" + names[0]}
}

func (b *builder) health() {
	other := &huma.Response{Description: "The call is malformed.", Content: map[string]*huma.MediaType{wire.ProblemJSON: {Schema: b.schema(wire.Problem{})}}}
	alive := &huma.Schema{Type: "object", Required: []string{"status"}, Properties: map[string]*huma.Schema{"status": {Type: "string", Description: "Always ok.", Enum: []any{"ok"}}}}
	ready := b.schema(web.Readiness{})
	answer := func(text string, s *huma.Schema, example any) *huma.Response {
		return &huma.Response{Description: text, Content: map[string]*huma.MediaType{"application/json": {Schema: s, Example: example}}}
	}
	check := func(s web.Health) web.Readiness {
		return web.Readiness{Status: s, Checks: map[string]web.Check{"database": {Status: s, LatencyMS: 0.4}}}
	}
	b.api.AddOperation(&huma.Operation{
		Method: "GET", Path: "/livez", OperationID: "getLiveness", Tags: []string{tagHealth}, Summary: "Is the process up", Description: "Answers as long as the process does.",
		Security: []map[string][]string{}, Responses: map[string]*huma.Response{"200": answer("It is.", alive, map[string]string{"status": "ok"}), "4XX": other},
	})
	b.api.AddOperation(&huma.Operation{
		Method: "GET", Path: "/readyz", OperationID: "getReadiness", Tags: []string{tagHealth}, Summary: "Can it work", Description: "Asks each part the hub works with.",
		Security: []map[string][]string{},
		Responses: map[string]*huma.Response{
			"200": answer("It can, perhaps with less.", ready, check(web.OK)), "503": answer("Something needed is gone.", ready, check(web.Down)), "4XX": other,
		},
	})
}
