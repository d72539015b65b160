package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// fieldError is a refusal of one field, as a list of one.
func fieldError(code hub.Code, field, message, fix string) *hub.Error {
	e := hub.FieldError(code, field, message, fix)
	e.Fields = []*hub.Error{hub.FieldError(code, field, message, fix)}
	return e
}

// ReadBody reads the body of a call and checks its media type; nil where there is none. A body over web.MaxBody is BODY_TOO_LARGE, one that
// is not declared as JSON UNSUPPORTED_MEDIA_TYPE, one that breaks off INVALID_JSON.
func ReadBody(r *http.Request) ([]byte, error) {
	if r.ContentLength > web.MaxBody {
		return nil, tooLarge()
	}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	if err := mediaType(r.Header); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		return nil, tooLarge()
	case err != nil:
		return nil, &hub.Error{Code: hub.CodeInvalidJSON, Message: "The body could not be read to its end.", Fix: "Send it again.", Cause: err}
	}
	return body, nil
}

func tooLarge() error {
	return hub.E(hub.CodeBodyTooLarge, "The body is over 1 MiB.", "Send less.")
}

func mediaType(h http.Header) error {
	refusal := hub.E(hub.CodeUnsupportedMediaType, "The body is not declared as JSON.", "Send Content-Type: application/json, in UTF-8 and not compressed.")
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return refusal
	}
	given := h.Get("Content-Type")
	if given == "" { // nothing else is claimed
		return nil
	}
	t, params, err := mime.ParseMediaType(given)
	if err != nil || t != "application/json" {
		return refusal
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return refusal
	}
	return nil
}

// Decode reads a JSON object into the fields of the struct that dst points to: string, *string, *int, []string, or a struct of those. It is strict:
// syntax, a name that comes twice or is unknown, and anything after the object refuse the whole as INVALID_JSON. A known field of the
// wrong type is only noted in wrong, so that it can be told together with all other wrong fields; null is as if the field were missing.
//
// The tag wrong:"CODE" names the code of a mistyped field; INVALID_FIELD without it.
func Decode(body []byte, dst any) (wrong []*hub.Error, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, badJSON("", "The body is empty.", "Send a JSON object.")
	}
	d := jsontext.NewDecoder(bytes.NewReader(body)) // refuses names that come twice and bad UTF-8
	raw, err := d.ReadValue()
	if err != nil {
		return nil, syntax(err)
	}
	raw = raw.Clone()
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, badJSON("", "There is something after the JSON object.", "Send one object and nothing else.")
	}
	if raw.Kind() != '{' {
		return nil, badJSON("", "The body is not a JSON object.", "Send an object: {…}.")
	}
	return decodeObject(raw, "", reflect.ValueOf(dst).Elem())
}

func syntax(err error) error {
	var se *jsontext.SyntacticError
	if errors.As(err, &se) {
		if errors.Is(err, jsontext.ErrDuplicateName) {
			return badJSON(shorten(strings.TrimPrefix(string(se.JSONPointer), "/")), "A name comes twice in the JSON object.", "Name each field once.")
		}
		return badJSON("", fmt.Sprintf("The body is not valid JSON (at byte %d).", se.ByteOffset), "Correct it there.")
	}
	return badJSON("", "The body is not valid JSON.", "Send a JSON object.")
}

func badJSON(field, message, fix string) *hub.Error {
	if field == "" {
		return hub.E(hub.CodeInvalidJSON, message, fix)
	}
	return fieldError(hub.CodeInvalidJSON, field, message, fix)
}

// pointerEscape writes a name as a reference token of RFC 6901.
var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

func decodeObject(raw jsontext.Value, prefix string, dst reflect.Value) (wrong []*hub.Error, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, syntax(err)
	}
	known := map[string]bool{}
	for i := range dst.NumField() {
		known[fieldName(dst.Type().Field(i))] = true
	}
	if err := unknownFields(members, known, prefix); err != nil {
		return nil, err
	}
	for i := range dst.NumField() {
		f := dst.Type().Field(i)
		m, given := members[fieldName(f)]
		if !given || string(m) == "null" {
			continue
		}
		more, err := decodeField(m, prefix+fieldName(f), f, dst.Field(i))
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, more...)
	}
	return wrong, nil
}

func unknownFields(members map[string]json.RawMessage, known map[string]bool, prefix string) error {
	var wrong []*hub.Error
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if known[name] {
			continue
		}
		if len(wrong) == maxErrors {
			break
		}
		shown := shorten(name)
		wrong = append(wrong, hub.FieldError(hub.CodeInvalidJSON, prefix+pointerEscape.Replace(shown), fmt.Sprintf("There is no field %q here.", shown), "Leave it out, or correct its name; see /docs."))
	}
	return hub.MergeFieldErrors(wrong, nil)
}

// The bounds of what is told about a wrong body: a mebibyte of mistakes must not become sixty of explanations.
const (
	maxShown  = 60  // characters of a name that are repeated
	maxErrors = 100 // entries of errors
	maxItems  = 200 // items of a list, far more than there are features
)

// shorten keeps messages readable whatever was sent.
func shorten(s string) string {
	if r := []rune(strings.ToValidUTF8(s, "?")); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return s
}

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func decodeField(m json.RawMessage, name string, f reflect.StructField, dst reflect.Value) ([]*hub.Error, error) {
	code := hub.Code(f.Tag.Get("wrong"))
	if code == "" {
		code = hub.CodeInvalidField
	}
	mistyped := func(field, want string) []*hub.Error {
		return []*hub.Error{hub.FieldError(code, field, field+" is not "+want+".", "Send "+want+".")}
	}
	switch v := dst.Addr().Interface().(type) {
	case *string:
		if !fits(m, v) {
			return mistyped(name, "a text"), nil
		}
	case **string:
		if !fits(m, v) {
			return mistyped(name, "a text"), nil
		}
	case **int:
		if !fits(m, v) {
			return mistyped(name, "a whole number"), nil
		}
	case *[]string:
		var items []json.RawMessage
		if !fits(m, &items) {
			return mistyped(name, "a list of texts"), nil
		}
		if len(items) > maxItems {
			return mistyped(name, fmt.Sprintf("a list of at most %d texts", maxItems)), nil
		}
		var wrong []*hub.Error
		*v = make([]string, len(items)) // a wrong item keeps its place, so that the others keep their numbers
		for i, item := range items {
			if string(item) == "null" || !fits(item, &(*v)[i]) {
				wrong = append(wrong, mistyped(fmt.Sprintf("%s/%d", name, i), "a text")...)
			}
		}
		return wrong, nil
	default:
		if m[0] != '{' {
			return mistyped(name, "an object"), nil
		}
		return decodeObject(jsontext.Value(m), name+"/", dst)
	}
	return nil, nil
}

// fits reads a value that may be of another type; why it is does not matter.
func fits(m json.RawMessage, v any) bool { return json.Unmarshal(m, v) == nil }
