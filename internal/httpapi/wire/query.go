package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kitshub/kitshub/internal/hub"
)

// The size of a page, in rows: what is given without a limit, and what may be asked for.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// Query reads the parameters of a call and gathers every wrong one. Where a parameter is missing or wrong, its method gives the zero value.
type Query struct {
	Wrong  []*hub.Error // INVALID_FIELD and INVALID_CURSOR, by parameter
	values url.Values
}

// ReadQuery reads the query of a call.
func ReadQuery(r *http.Request) *Query {
	values, err := url.ParseQuery(r.URL.RawQuery)
	q := &Query{values: values}
	if err != nil {
		q.Refuse("query", "The query is malformed.", "Escape it as a URL asks for.")
	}
	return q
}

// Refuse notes a parameter as wrong: what is wrong, and the next step.
func (q *Query) Refuse(name, message, fix string) {
	q.Wrong = append(q.Wrong, hub.FieldError(hub.CodeInvalidField, name, message, fix))
}

// Err gives all wrong parameters as one refusal, or nil.
func (q *Query) Err() error { return hub.MergeFieldErrors(q.Wrong, nil) }

// Text gives a parameter of at most 200 bytes; an empty one is as if it were missing.
func (q *Query) Text(name string) string {
	v := q.values[name]
	switch {
	case len(v) == 0:
		return ""
	case len(v) > 1:
		q.Refuse(name, name+" is given more than once.", "Give it once.")
	case len(v[0]) > 200 || !utf8.ValidString(v[0]) || strings.ContainsFunc(v[0], unicode.IsControl):
		q.Refuse(name, name+" is too long or holds a control character.", "Send at most 200 bytes of plain text.")
	default:
		return v[0]
	}
	return ""
}

// OneOf gives a parameter that must be one of the values.
func (q *Query) OneOf(name string, values ...string) string {
	v := q.Text(name)
	if v != "" && !slices.Contains(values, v) {
		q.Refuse(name, fmt.Sprintf("%s has no value %q.", name, v), "Use one of: "+strings.Join(values, ", ")+".")
		return ""
	}
	return v
}

// Limit gives the size of the page that is asked for, from 1 to MaxLimit; DefaultLimit where it is missing or wrong.
func (q *Query) Limit() int {
	v := q.Text("limit")
	if v == "" {
		return DefaultLimit
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > MaxLimit {
		q.Refuse("limit", fmt.Sprintf("limit is not a number from 1 to %d.", MaxLimit), "Ask for a smaller page and follow next_cursor.")
		return DefaultLimit
	}
	return n
}

// Cursor decodes the cursor into at, a pointer, and asks good whether it can be one of ours; found is false where there is none or it is wrong.
func (q *Query) Cursor(at any, good func() bool) (found bool) {
	v := q.values["cursor"]
	if len(v) == 0 || (len(v) == 1 && v[0] == "") {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(v[0])
	if err != nil || len(v) > 1 || len(raw) > 512 || json.Unmarshal(raw, at) != nil || !good() {
		q.Wrong = append(q.Wrong, hub.FieldError(hub.CodeInvalidCursor, "cursor", "The cursor is invalid.", "Use a next_cursor as it was given, or start without one."))
		return false
	}
	return true
}

// IDCursor gives a cursor that is an id that begins with prefix.
func (q *Query) IDCursor(prefix string) string {
	var id string
	if q.Cursor(&id, func() bool { return GoodID(id, prefix) }) {
		return id
	}
	return ""
}

func makeCursor(at any) string {
	b, err := json.Marshal(at)
	if err != nil {
		panic(err) // strings, numbers and times
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// Page cuts what was read with one more than the limit, and gives the cursor of the next page, or "" at the end. key is what a cursor after a row
// holds; it has to be fit for JSON.
func Page[T any](rows []T, limit int, key func(T) any) (cut []T, next string) {
	if len(rows) <= limit {
		return rows, ""
	}
	return rows[:limit], makeCursor(key(rows[limit-1]))
}

// GoodID reports whether s can be an id that begins with prefix. Others are not asked the database for: it may not even take their bytes.
func GoodID(s, prefix string) bool {
	return strings.HasPrefix(s, prefix) && len(s) <= len(prefix)+64 && strings.Trim(s[len(prefix):], "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

// PathID gives the {id} of the path; one that cannot be is answered as an unknown one, NOT_FOUND. what is the kind as people call it ("request"),
// prefix how its ids begin ("req_").
func PathID(r *http.Request, what, prefix string) (string, error) {
	id := r.PathValue("id")
	if !GoodID(id, prefix) {
		return "", hub.E(hub.CodeNotFound, fmt.Sprintf("There is no %s %q.", what, shorten(id)), "Check the id.")
	}
	return id, nil
}
