package httpapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

//go:generate go test -run TestOpenAPIGolden -update .

var update = flag.Bool("update", false, "write the golden files anew")

func openAPI(t *testing.T) ([]byte, map[string]any) {
	t.Helper()
	raw, err := document("test", table())
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return raw, doc
}

// The document is a promise: a change of it must be seen, and meant.
func TestOpenAPIGolden(t *testing.T) {
	raw, _ := openAPI(t)
	golden := filepath.Join("testdata", "openapi.golden.json")
	if *update {
		if err := os.MkdirAll("testdata", 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(raw)); d != "" {
		t.Errorf("the OpenAPI document changed; run make gen and look at the difference:\n%s", d)
	}
	for range 5 {
		if again, _ := openAPI(t); !bytes.Equal(again, raw) {
			t.Fatal("the document is not the same each time")
		}
	}
}

// The rules of spectral:oas and redocly's recommended set that a document can break.
func TestOpenAPILint(t *testing.T) {
	_, doc := openAPI(t)
	l := linter{t: t, doc: doc, used: map[string]bool{}, ids: map[string]bool{}}
	if doc["openapi"] != "3.1.0" {
		t.Error("not 3.1.0")
	}
	info := doc["info"].(map[string]any)
	for _, name := range []string{"title", "version", "description", "contact"} {
		if info[name] == nil {
			t.Errorf("info has no %s", name)
		}
	}
	if s := doc["servers"].([]any); len(s) == 0 {
		t.Error("no servers")
	}
	for _, tag := range doc["tags"].([]any) {
		m := tag.(map[string]any)
		if m["description"] == nil {
			t.Errorf("tag %v has no description", m["name"])
		}
		l.tags = append(l.tags, m["name"].(string))
	}
	l.walk("#", doc)
	for p, item := range doc["paths"].(map[string]any) {
		for method, op := range item.(map[string]any) {
			l.operation(p, method, op.(map[string]any))
		}
	}
	for kind, parts := range doc["components"].(map[string]any) {
		if kind == "securitySchemes" {
			continue
		}
		for name := range parts.(map[string]any) {
			if ref := "#/components/" + kind + "/" + name; !l.used[ref] {
				t.Errorf("%s is used nowhere", ref)
			}
		}
	}
	l.tags = slices.DeleteFunc(l.tags, func(s string) bool { return l.usedTags[s] })
	if len(l.tags) > 0 {
		t.Errorf("tags used nowhere: %v", l.tags)
	}
}

type linter struct {
	t        *testing.T
	doc      map[string]any
	tags     []string
	usedTags map[string]bool
	used     map[string]bool
	ids      map[string]bool
}

// walk resolves each $ref and holds each property to a description.
func (l *linter) walk(at string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if ref, is := v["$ref"].(string); is {
			l.used[ref] = true
			if l.resolve(ref) == nil {
				l.t.Errorf("%s: %s leads nowhere", at, ref)
			}
		}
		if props, is := v["properties"].(map[string]any); is && v["type"] != nil {
			for name, p := range props {
				m := p.(map[string]any)
				if m["description"] == nil && name != "data" {
					l.t.Errorf("%s: property %s has no description", at, name)
				}
			}
			required, _ := v["required"].([]any)
			for _, name := range required {
				if props[name.(string)] == nil {
					l.t.Errorf("%s requires %v, which it does not have", at, name)
				}
			}
		}
		for name, part := range v {
			if name != "example" && name != "examples" {
				l.walk(at+"/"+name, part)
			}
		}
	case []any:
		for i, part := range v {
			l.walk(fmt.Sprint(at, "/", i), part)
		}
	}
}

func (l *linter) resolve(ref string) map[string]any {
	v := any(l.doc)
	for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
		m, is := v.(map[string]any)
		if !is {
			return nil
		}
		v = m[name]
	}
	m, _ := v.(map[string]any)
	return m
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

func (l *linter) operation(path, method string, op map[string]any) {
	at := method + " " + path
	id, _ := op["operationId"].(string)
	if id == "" || l.ids[id] || !regexp.MustCompile(`^[a-z][A-Za-z]+$`).MatchString(id) {
		l.t.Errorf("%s: operationId %q is missing, malformed or used twice", at, id)
	}
	l.ids[id] = true
	for _, name := range []string{"summary", "description", "tags", "security", "responses"} {
		if op[name] == nil {
			l.t.Errorf("%s has no %s", at, name)
		}
	}
	if l.usedTags == nil {
		l.usedTags = map[string]bool{}
	}
	for _, tag := range op["tags"].([]any) {
		l.usedTags[tag.(string)] = true
		if !slices.Contains(l.tags, tag.(string)) {
			l.t.Errorf("%s: tag %v is not declared", at, tag)
		}
	}
	declared := map[string]bool{}
	params, _ := op["parameters"].([]any)
	for _, p := range params {
		m := p.(map[string]any)
		if ref, is := m["$ref"].(string); is {
			m = l.resolve(ref)
		}
		if m["description"] == nil || m["schema"] == nil {
			l.t.Errorf("%s: parameter %v is not described", at, m["name"])
		}
		key := fmt.Sprint(m["in"], " ", m["name"])
		if declared[key] {
			l.t.Errorf("%s: %s is declared twice", at, key)
		}
		declared[key] = true
	}
	for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
		if !declared["path "+m[1]] {
			l.t.Errorf("%s: {%s} is not declared", at, m[1])
		}
	}
	statuses := slices.Sorted(maps.Keys(op["responses"].(map[string]any)))
	if !slices.ContainsFunc(statuses, func(s string) bool { return s[0] == '2' }) || !slices.ContainsFunc(statuses, func(s string) bool { return s[0] == '4' }) {
		l.t.Errorf("%s answers only %v", at, statuses)
	}
	for status, r := range op["responses"].(map[string]any) {
		m := r.(map[string]any)
		if ref, is := m["$ref"].(string); is {
			m = l.resolve(ref)
		}
		if m["description"] == nil || m["content"] == nil {
			l.t.Errorf("%s: answer %s is not described", at, status)
		}
	}
}
