package httpapi

import (
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
)

func ptr[T any](v T) *T { return &v }

func commonParams() map[string]*huma.Param {
	return map[string]*huma.Param{
		"Limit": {
			Name: "limit", In: "query", Description: "Size of the page.", Example: 50,
			Schema: &huma.Schema{Type: "integer", Minimum: ptr(1.0), Maximum: ptr(float64(wire.MaxLimit)), Default: wire.DefaultLimit},
		},
		"Cursor": {
			Name: "cursor", In: "query", Description: "The next_cursor of the page before.", Schema: &huma.Schema{Type: "string"}, Example: "InRlbl8wMWphIg",
		},
		"IdempotencyKey": {
			Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: "string", MinLength: ptr(1), MaxLength: ptr(257)}, Example: `"8e03978e-40d5-43e8-bc93-6894a57f9324"`,
			Description: "Repeats of a call with the same key and body get the first answer, byte for byte, for 24 hours. 1–255 printable ASCII characters, quoted or bare.",
		},
		"LastEventID": {
			Name: "Last-Event-ID", In: "header", Description: "The id of the last event that was seen; a state with this id is not sent again.",
			Schema: &huma.Schema{Type: "string"}, Example: "9f86d081884c7d65",
		},
	}
}

func commonHeaders() map[string]*huma.Param {
	text := func(description, example string) *huma.Param {
		return &huma.Param{Description: description, Schema: &huma.Schema{Type: "string"}, Example: example}
	}
	return map[string]*huma.Param{
		"RequestID":           text("Names this call in the hub's log. One of 1–128 visible ASCII characters that the caller sent is kept.", "call_01ja8w1x5q0000000000000000"),
		"RetryAfter":          text("Seconds to wait before the next call.", "1"),
		"RateLimit":           text("What is left of a limit, and the seconds until it is worth another call.", `"concurrent";r=0;t=2`),
		"RateLimitPolicy":     text("The limit that was met.", `"concurrent";q=4;qu="concurrent-requests"`),
		"Location":            text("The operation to follow.", "/api/v1/operations/op_01ja8w1x5q0000000000000000"),
		"IdempotencyReplayed": text("true where this is the stored answer of an earlier call.", "true"),
	}
}

func paramRef(name string) *huma.Param  { return &huma.Param{Ref: "#/components/parameters/" + name} }
func headerRef(name string) *huma.Param { return &huma.Param{Ref: "#/components/headers/" + name} }

func queryParam(p param) *huma.Param {
	s := &huma.Schema{Type: "string"}
	for _, v := range p.values {
		s.Enum = append(s.Enum, v)
	}
	return &huma.Param{Name: p.name, In: "query", Description: p.text, Schema: s, Example: p.example}
}

func securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"session":     {Type: "apiKey", In: "cookie", Name: "__Host-kitshub", Description: "An operator's session, set by login. On plain http the cookie is named kitshub."},
		"apiToken":    {Type: "http", Scheme: "bearer", Description: "An API token (kat_…)."},
		"statusToken": {Type: "http", Scheme: "bearer", Description: "A status token (kst_…), given at sign-up and in mails."},
	}
}

func security(p policy) []map[string][]string {
	switch p {
	case customer:
		return []map[string][]string{{"statusToken": {}}}
	case operator:
		return []map[string][]string{{"session": {}}, {"apiToken": {}}}
	}
	return []map[string][]string{}
}

// example puts the examples of a schema's parts together.
func (b *builder) example(s *huma.Schema) any {
	if s.Ref != "" {
		s = b.reg.SchemaFromRef(s.Ref)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	case s.Type == huma.TypeArray:
		return []any{b.example(s.Items)}
	case s.Type == huma.TypeObject:
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
			out[name] = b.example(s.Properties[name])
		}
		return out
	}
	return nil
}
