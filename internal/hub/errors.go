package hub

import (
	"errors"
	"fmt"
	"strings"
)

// Code names what went wrong, for programs. The edge (httpapi/wire) maps each code to one HTTP status; archtest fails while a code has none.
type Code string

// The codes of the external contract. A name here is a promise: add freely, rename nothing.
const (
	CodeMissingEmail       Code = "MISSING_EMAIL"
	CodeInvalidEmailFormat Code = "INVALID_EMAIL_FORMAT"
	CodeMissingField       Code = "MISSING_FIELD"
	CodeInvalidField       Code = "INVALID_FIELD"
	CodeInvalidCursor      Code = "INVALID_CURSOR"
	CodeInvalidJSON        Code = "INVALID_JSON"
	CodeUnknownPlan        Code = "UNKNOWN_PLAN"
	CodeUnknownFeature     Code = "UNKNOWN_FEATURE"
	CodeFeatureNotInPlan   Code = "FEATURE_NOT_IN_PLAN"

	CodeWeakPassword             Code = "WEAK_PASSWORD"
	CodePasswordTooShort         Code = "PASSWORD_TOO_SHORT"
	CodePasswordTooLong          Code = "PASSWORD_TOO_LONG"
	CodePasswordCommon           Code = "PASSWORD_COMMON"
	CodePasswordContainsIdentity Code = "PASSWORD_CONTAINS_IDENTITY"
	CodePasswordNeedsUpper       Code = "PASSWORD_NEEDS_UPPER"
	CodePasswordNeedsLower       Code = "PASSWORD_NEEDS_LOWER"
	CodePasswordNeedsDigit       Code = "PASSWORD_NEEDS_DIGIT"
	CodePasswordNeedsSpecial     Code = "PASSWORD_NEEDS_SPECIAL"

	CodeConnectionFailed    Code = "CONNECTION_FAILED"
	CodeCredentialsInvalid  Code = "CREDENTIALS_INVALID"
	CodeAddressRefused      Code = "ADDRESS_REFUSED"
	CodeIdempotencyMismatch Code = "IDEMPOTENCY_MISMATCH"

	CodeRateLimited              Code = "RATE_LIMITED"
	CodeUnauthenticated          Code = "UNAUTHENTICATED"
	CodeTOTPRequired             Code = "TOTP_REQUIRED"
	CodeForbidden                Code = "FORBIDDEN"
	CodeReauthenticationRequired Code = "REAUTHENTICATION_REQUIRED"
	CodeNotFound                 Code = "NOT_FOUND"
	CodeQueueEmpty               Code = "QUEUE_EMPTY"
	CodeMethodNotAllowed         Code = "METHOD_NOT_ALLOWED"

	CodeCustomerExists      Code = "CUSTOMER_EXISTS"
	CodeOperatorExists      Code = "OPERATOR_EXISTS"
	CodeAlreadyClaimed      Code = "ALREADY_CLAIMED"
	CodeInvalidTransition   Code = "INVALID_TRANSITION"
	CodeAlreadyRevealed     Code = "ALREADY_REVEALED"
	CodeIdempotencyInFlight Code = "IDEMPOTENCY_IN_FLIGHT"
	CodeOperationInProgress Code = "OPERATION_IN_PROGRESS"

	CodeBodyTooLarge         Code = "BODY_TOO_LARGE"
	CodeUnsupportedMediaType Code = "UNSUPPORTED_MEDIA_TYPE"
	CodeInternal             Code = "INTERNAL"
	CodeUnavailable          Code = "UNAVAILABLE"
)

// Error is a refusal that a person can act on. The same text shows in the API, the pages and the command line.
type Error struct {
	Code    Code
	Message string         // what is wrong, one sentence
	Field   string         // JSON pointer of the wrong field without the leading slash ("billing_cycle", "features/2"), or empty
	Fix     string         // the next step that mends it, one sentence, or empty
	Details map[string]any // further members of the answer (assigned_to, operation_id …); never a secret
	Fields  []*Error       // every wrong field at once, in the contract's order; the first one gives Code
	Cause   error          // for the log only; never shown to strangers
}

// Error joins message and next step.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	if e.Fix != "" {
		b.WriteString(" ")
		b.WriteString(e.Fix)
	}
	if b.Len() == 0 {
		b.WriteString(string(e.Code))
	}
	return b.String()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Cause }

// E makes a refusal.
func E(code Code, message, fix string) *Error { return &Error{Code: code, Message: message, Fix: fix} }

// FieldError makes a refusal of one field.
func FieldError(code Code, field, message, fix string) *Error {
	return &Error{Code: code, Field: field, Message: message, Fix: fix}
}

// Unavailable says that a part the hub needs is gone for now; the cause goes to the log.
func Unavailable(cause error) *Error {
	return &Error{Code: CodeUnavailable, Message: "The hub cannot reach its database right now.", Fix: "Nothing was changed; try again in a few seconds.", Cause: cause}
}

// OutcomeUnknown says that the database went away while it was asked to commit: the change may be there or not. The cause goes to the log.
func OutcomeUnknown(cause error) *Error {
	return &Error{Code: CodeUnavailable, Message: "The hub lost its database while saving.", Fix: "Look whether it was saved before you repeat it, or repeat it with the same Idempotency-Key.", Cause: cause}
}

// DiskFull says that the hub's disk has no room for a write; the cause goes to the log.
func DiskFull(cause error) *Error {
	return &Error{Code: CodeUnavailable, Message: "The hub's disk is full, so nothing can be written.", Fix: "Nothing was changed; free some space in DATA_DIR and try again.", Cause: cause}
}

// CodeOf gives the code of the first *Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// IsCode reports whether err is a refusal with this code.
func IsCode(err error, code Code) bool { return err != nil && CodeOf(err) == code }

// ErrConflict is what a store returns when a row changed between read and write; the service reads again and decides anew.
var ErrConflict = errors.New("the row changed meanwhile")

// NotFound is the same for what never was and for what is somebody else's.
func NotFound(what, id string) *Error {
	return E(CodeNotFound, fmt.Sprintf("There is no %s %q.", what, id), "Check the id.")
}
