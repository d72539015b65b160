package httpapi

import (
	"log/slog"
	"testing"

	"github.com/kitshub/kitshub/internal/hub"
)

// A route nobody thought about who may call it stops the start.
func TestRouteNeedsAPolicy(t *testing.T) {
	good := route{
		method: "GET", path: "/x", policy: anybody, handle: func(*call) (answer, error) { return answer{}, nil },
		doc: doc{id: "x", tag: tagPublic, summary: "x", data: planDoc{}},
	}
	o := Options{Log: slog.New(slog.DiscardHandler)}
	if _, err := build(o, []route{good}); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*route){
		"no policy":        func(r *route) { r.policy = nobody },
		"no handler":       func(r *route) { r.handle = nil },
		"no document":      func(r *route) { r.doc.summary = "" },
		"unknown method":   func(r *route) { r.method = "BREW" },
		"registered twice": func(*route) {},
	} {
		bad := good
		spoil(&bad)
		routes := []route{bad}
		if name == "registered twice" {
			routes = []route{good, bad}
		}
		if _, err := build(o, routes); err == nil {
			t.Errorf("%s: it registered", name)
		}
	}
	if got := (&call{route: &route{}}).admit(); !hub.IsCode(got, hub.CodeForbidden) {
		t.Errorf("a route without a policy let somebody in: %v", got)
	}
}
