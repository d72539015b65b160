package hub

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest accepted texts, in code points: generous for people, small enough for every mail client and screen.
const (
	maxEmail = 254 // RFC 5321
	maxName  = 200
	maxText  = 2000
)

// asList turns the wrong fields into one refusal whose code is the first one's; nil when there are none.
func asList(fields []*Error) error {
	if len(fields) == 0 {
		return nil
	}
	first := fields[0]
	e := &Error{Code: first.Code, Message: first.Message, Fix: first.Fix, Field: first.Field, Fields: fields}
	if len(fields) > 1 {
		e.Message = fmt.Sprintf("%s (and %d more).", strings.TrimSuffix(first.Message, "."), len(fields)-1)
		e.Fix = "Correct every field listed in errors."
	}
	return e
}

// fieldOrder is the contract's order of wrong fields; others follow in the order found.
var fieldOrder = []string{"email", "company_name", "contact_name", "plan"}

func sortFields(fields []*Error) {
	rank := func(e *Error) int {
		if i := slices.Index(fieldOrder, e.Field); i >= 0 {
			return i
		}
		return len(fieldOrder)
	}
	slices.SortStableFunc(fields, func(a, b *Error) int { return rank(a) - rank(b) })
}

// MergeFieldErrors joins wrong fields found by decoding with those found by validation, in the contract's order; a field counts once.
func MergeFieldErrors(decoded []*Error, err error) error {
	if len(decoded) == 0 {
		return err
	}
	all := slices.Clone(decoded)
	seen := map[string]bool{}
	for _, e := range decoded {
		seen[e.Field] = true
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // only a bare list of fields is merged
		for _, f := range e.Fields {
			if !seen[f.Field] {
				all = append(all, f)
			}
		}
	}
	sortFields(all)
	return asList(all)
}

func checkEmail(s string) *Error {
	switch {
	case s == "":
		return FieldError(CodeMissingEmail, "email", "An email address is needed.", "Fill in email.")
	case utf8.RuneCountInString(s) > maxEmail:
		return badEmail()
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.IsSpace(r) || r == utf8.RuneError { // the last is what broken UTF-8 became
			return badEmail()
		}
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Name != "" || a.Address != s || strings.ContainsAny(s, "<>\"(),;:\\[]") {
		return badEmail()
	}
	local, domain, _ := strings.Cut(s, "@")
	if local == "" || strings.Contains(domain, "@") || !validDomain(domain) {
		return badEmail()
	}
	return nil
}

func validDomain(d string) bool {
	labels := strings.Split(d, ".")
	if len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") {
			return false
		}
		for _, r := range l {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' {
				return false
			}
		}
	}
	return true
}

func badEmail() *Error {
	return FieldError(CodeInvalidEmailFormat, "email", "This is not an email address.", "Use the form name@example.com.")
}

// checkText refuses control characters and what is too long; newlines are allowed where multiline.
func checkText(field, s string, limit int, multiline bool) *Error {
	if utf8.RuneCountInString(s) > limit {
		return FieldError(CodeInvalidField, field, fmt.Sprintf("%s is longer than %d characters.", field, limit), "Shorten it.")
	}
	if !utf8.ValidString(s) {
		return FieldError(CodeInvalidField, field, field+" is not valid UTF-8.", "Send it as UTF-8.")
	}
	for _, r := range s {
		if multiline && (r == '\n' || r == '\r' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) {
			return FieldError(CodeInvalidField, field, field+" holds a control character.", "Remove it.")
		}
	}
	return nil
}

func checkRequired(field, s string) *Error {
	if s == "" {
		return FieldError(CodeMissingField, field, field+" is needed.", "Fill in "+field+".")
	}
	return checkText(field, s, maxName, false)
}
