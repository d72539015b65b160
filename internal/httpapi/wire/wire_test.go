package wire

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

// Every code of hub has a status here: the constants are read from its source.
func TestEveryCodeHasAStatus(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../hub/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(f, func(node ast.Node) bool {
		v, is := node.(*ast.ValueSpec)
		if !is || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Code") {
			return true
		}
		lit, is := v.Values[0].(*ast.BasicLit)
		if !is {
			return true
		}
		code, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		n++
		if status, ok := StatusOf(hub.Code(code)); !ok || status < 400 || status > 599 || http.StatusText(status) == "" {
			t.Errorf("%s has no status", code)
		}
		return true
	})
	if n < 40 || n != len(kinds) {
		t.Errorf("%d codes in hub, %d here", n, len(kinds))
	}
}

// What is no refusal is told neutrally; a conflict and a deadline may be tried again.
func TestStrangersGetANeutralSentence(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"unknown error":   {errors.New("secret: disk /var/x"), 500},
		"unknown code":    {hub.E("SOMETHING_NEW", "secret", ""), 500},
		"internal":        {&hub.Error{Code: hub.CodeInternal, Message: "secret"}, 500},
		"conflict":        {hub.ErrConflict, 503},
		"deadline":        {context.DeadlineExceeded, 503},
		"database gone":   {hub.Unavailable(errors.New("secret host")), 503},
		"wrapped refusal": {errors.Join(errors.New("secret"), hub.E(hub.CodeNotFound, "There is no such thing.", "")), 404},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/x", nil)
		out := Refusal(r, c.err)
		if out.Status != c.status || strings.Contains(string(out.Body), "secret") {
			t.Errorf("%s: %d %s", name, out.Status, out.Body)
		}
		if (out.RetryAfter != "") != (c.status == 503) {
			t.Errorf("%s: Retry-After %q", name, out.RetryAfter)
		}
	}
}

// A detail may not hide a member of the problem document, and paths with tokens are not repeated.
func TestProblemMembersStandAlone(t *testing.T) {
	e := hub.E(hub.CodeInvalidTransition, "No.", "")
	e.Details = map[string]any{"status": "completed", "move": "claim", "assigned_to": "auto", "bad": func() {}}
	r := httptest.NewRequest(http.MethodGet, "/status/kst_secret", nil)
	out := string(Refusal(r, e).Body)
	if !strings.Contains(out, `"status":409`) || strings.Contains(out, "kst_secret") {
		t.Error(out)
	}
	delete(e.Details, "bad")
	out = string(Refusal(r, e).Body)
	for _, part := range []string{`"status":409`, `"request_status":"completed"`, `"move":"claim"`, `"assigned_to":"auto"`} {
		if !strings.Contains(out, part) {
			t.Errorf("%s is missing in %s", part, out)
		}
	}
}

func TestIdempotencyKeyForms(t *testing.T) {
	long := strings.Repeat("k", 255)
	for given, want := range map[string]string{
		"abc": "abc", `"abc"`: "abc", " abc ": "abc", `"a\"b\\c"`: `a"b\c`, long: long, `"` + long + `"`: long, `a"b`: `a"b`,
		"": "!", `""`: "!", `"abc`: "!", `"a"b`: "!", `"a\x"`: "!", long + "k": "!", "a\x01b": "!", "ä": "!", `"`: "!", `"a\`: "!",
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header["Idempotency-Key"] = []string{given}
		key, present, err := IdempotencyKey(r)
		if !present || (want == "!") != (err != nil) || (err == nil && key != want) {
			t.Errorf("%q: %q, %v, %v", given, key, present, err)
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header["Idempotency-Key"] = []string{"a", "b"}
	if _, _, err := IdempotencyKey(r); !hub.IsCode(err, hub.CodeInvalidField) {
		t.Error("two keys were taken for one")
	}
}

// What is written by hand is what Marshal would write; httpapi holds whole documents to it.
func TestAppendedLikeMarshalled(t *testing.T) {
	for _, s := range []string{
		"", "O'Neil & Söhne <b>", `"\/`, "\x00\x1f\x7f\b\f\n\r\t", "\u2027\u2028\u2029\u202a", "\ufffd\xff\xe2\x80\xed\xa0\x80", "漢字🙂",
	} {
		want, err := Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendString([]byte("before"), s); string(got) != "before"+string(want) {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
	at := time.Date(2026, 11, 22, 16, 0, 0, 120_000, time.UTC)
	for _, p := range []*time.Time{nil, &at, {}} {
		want, err := Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendTime(nil, p); string(got) != string(want) {
			t.Errorf("%v: got %s, want %s", p, got, want)
		}
	}
}

// form has a field of each kind that Decode reads.
type form struct {
	Email    string   `json:"email" wrong:"INVALID_EMAIL_FORMAT"`
	Text     *string  `json:"text"`
	Priority *int     `json:"priority"`
	Features []string `json:"features,omitempty"`
	Billing  struct {
		City string `json:"city,omitempty"`
	} `json:"billing_address,omitempty"`
}

// FuzzDecode: whatever is sent, decoding neither panics nor takes what encoding/json refuses.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{}`, `{"email":"a","features":["x",1,null],"billing_address":{"city":1}}`, `{"a":1,"a":2}`, "[", `{"email":"\ud800"}`, `nul`, `{"email":1e999}`, `{"text":1,"priority":"2"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var in form
		wrong, err := Decode(body, &in)
		if err != nil && !hub.IsCode(err, hub.CodeInvalidJSON) {
			t.Fatalf("%v for %q", err, body)
		}
		for _, w := range wrong {
			if w.Field == "" || w.Message == "" || w.Fix == "" {
				t.Fatalf("%+v", w)
			}
		}
	})
}
