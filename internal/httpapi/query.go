package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kitshub/kitshub/internal/hub"
)

// The size of a page.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// query reads the parameters of a listing and gathers every wrong one.
type query struct {
	values url.Values
	wrong  []*hub.Error
}

func (c *call) query() *query {
	values, err := url.ParseQuery(c.r.URL.RawQuery)
	q := &query{values: values}
	if err != nil {
		q.refuse("query", "The query is malformed.", "Escape it as a URL asks for.")
	}
	return q
}

func (q *query) refuse(name, message, fix string) {
	q.wrong = append(q.wrong, hub.FieldError(hub.CodeInvalidField, name, message, fix))
}

// err gives all wrong parameters as one refusal, or nil.
func (q *query) err() error { return hub.MergeFieldErrors(q.wrong, nil) }

// text gives a parameter; an empty one is as if it were missing.
func (q *query) text(name string) string {
	v := q.values[name]
	switch {
	case len(v) == 0:
		return ""
	case len(v) > 1:
		q.refuse(name, name+" is given more than once.", "Give it once.")
	case len(v[0]) > 200 || !utf8.ValidString(v[0]) || strings.ContainsFunc(v[0], unicode.IsControl):
		q.refuse(name, name+" is too long or holds a control character.", "Send at most 200 bytes of plain text.")
	default:
		return v[0]
	}
	return ""
}

// oneOf gives a parameter that must be one of the values.
func (q *query) oneOf(name string, values ...string) string {
	v := q.text(name)
	if v != "" && !slices.Contains(values, v) {
		q.refuse(name, fmt.Sprintf("%s has no value %q.", name, v), "Use one of: "+strings.Join(values, ", ")+".")
		return ""
	}
	return v
}

func (q *query) limit() int {
	v := q.text("limit")
	if v == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxLimit {
		q.refuse("limit", fmt.Sprintf("limit is not a number from 1 to %d.", maxLimit), "Ask for a smaller page and follow next_cursor.")
		return defaultLimit
	}
	return n
}

// cursor decodes the cursor into at; found is false where there is none.
func (q *query) cursor(at any, good func() bool) (found bool) {
	v := q.values["cursor"]
	if len(v) == 0 || (len(v) == 1 && v[0] == "") {
		return false
	}
	raw, err := base64.RawURLEncoding.DecodeString(v[0])
	if err != nil || len(v) > 1 || len(raw) > 512 || json.Unmarshal(raw, at) != nil || !good() {
		q.wrong = append(q.wrong, hub.FieldError(hub.CodeInvalidCursor, "cursor", "The cursor is invalid.", "Use a next_cursor as it was given, or start without one."))
		return false
	}
	return true
}

// idCursor is a cursor that is an id.
func (q *query) idCursor(prefix string) string {
	var id string
	if q.cursor(&id, func() bool { return goodID(id, prefix) }) {
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

// page cuts what was read with one more than the limit, and gives the cursor of the next page.
func page[T any](rows []T, limit int, key func(T) any) (cut []T, next string) {
	if len(rows) <= limit {
		return rows, ""
	}
	return rows[:limit], makeCursor(key(rows[limit-1]))
}

// goodID reports whether s can be an id of this kind. Others are not asked the database for: it may not even take their bytes.
func goodID(s, prefix string) bool {
	return strings.HasPrefix(s, prefix) && len(s) <= len(prefix)+64 && strings.Trim(s[len(prefix):], "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

// pathID gives the id in the path; one that cannot be is answered as an unknown one.
func (c *call) pathID(what, prefix string) (string, error) {
	id := c.r.PathValue("id")
	if !goodID(id, prefix) {
		return "", hub.E(hub.CodeNotFound, fmt.Sprintf("There is no %s %q.", what, shorten(id)), "Check the id.")
	}
	return id, nil
}
