package wire

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// kind is what a code means in HTTP.
type kind struct {
	status int
	title  string // the same for each occurrence of the code
}

// kinds is the one table from code to status; a test and archtest fail while a code of hub has no line.
var kinds = map[hub.Code]kind{
	hub.CodeMissingEmail:       {400, "An email address is missing"},
	hub.CodeInvalidEmailFormat: {400, "An email address is malformed"},
	hub.CodeMissingField:       {400, "A field is missing"},
	hub.CodeInvalidField:       {400, "A field is invalid"},
	hub.CodeInvalidCursor:      {400, "The cursor is invalid"},
	hub.CodeInvalidJSON:        {400, "The body is not the JSON that is expected"},
	hub.CodeUnknownPlan:        {400, "The plan is unknown"},
	hub.CodeUnknownFeature:     {400, "A feature is unknown"},
	hub.CodeFeatureNotInPlan:   {400, "A feature is not part of the plan"},

	hub.CodeWeakPassword:             {400, "The password is too weak"},
	hub.CodePasswordTooShort:         {400, "The password is too short"},
	hub.CodePasswordTooLong:          {400, "The password is too long"},
	hub.CodePasswordCommon:           {400, "The password is a common one"},
	hub.CodePasswordContainsIdentity: {400, "The password contains a name or address"},
	hub.CodePasswordNeedsUpper:       {400, "The password needs an upper-case letter"},
	hub.CodePasswordNeedsLower:       {400, "The password needs a lower-case letter"},
	hub.CodePasswordNeedsDigit:       {400, "The password needs a digit"},
	hub.CodePasswordNeedsSpecial:     {400, "The password needs a special character"},

	hub.CodeConnectionFailed:    {422, "The connection failed"},
	hub.CodeCredentialsInvalid:  {422, "The credentials are invalid"},
	hub.CodeAddressRefused:      {422, "The address is refused"},
	hub.CodeIdempotencyMismatch: {422, "The Idempotency-Key belongs to another body"},

	hub.CodeRateLimited:              {429, "Too many calls"},
	hub.CodeUnauthenticated:          {401, "Not logged in"},
	hub.CodeTOTPRequired:             {401, "A one-time code is needed"},
	hub.CodeForbidden:                {403, "Not allowed"},
	hub.CodeReauthenticationRequired: {403, "A fresh login is needed"},
	hub.CodeNotFound:                 {404, "Not found"},
	hub.CodeQueueEmpty:               {404, "Nobody is waiting"},
	hub.CodeMethodNotAllowed:         {405, "The method is not allowed here"},

	hub.CodeCustomerExists:      {409, "The customer exists"},
	hub.CodeOperatorExists:      {409, "The operator exists"},
	hub.CodeAlreadyClaimed:      {409, "The request is already claimed"},
	hub.CodeInvalidTransition:   {409, "The state does not allow it"},
	hub.CodeAlreadyRevealed:     {409, "Already revealed"},
	hub.CodeIdempotencyInFlight: {409, "The first call is still running"},
	hub.CodeOperationInProgress: {409, "Another operation is running"},

	hub.CodeBodyTooLarge:         {413, "The body is too large"},
	hub.CodeUnsupportedMediaType: {415, "The media type is not supported"},
	hub.CodeInternal:             {500, "Something went wrong on our side"},
	hub.CodeUnavailable:          {503, "Unavailable for the moment"},
}

// StatusOf gives the HTTP status of a code; ok is false for one that is not in the table.
func StatusOf(c hub.Code) (status int, ok bool) {
	k, ok := kinds[c]
	return k.status, ok
}

// Problem is a failure as it is sent: RFC 9457 and the short form that older clients read, in one object.
type Problem struct {
	Type      string         `json:"type" doc:"A URI that names the kind of problem; one for each code." example:"urn:kitshub:problem:missing-field"`
	Title     string         `json:"title" doc:"The kind of problem for people, the same each time." example:"A field is missing"`
	Status    int            `json:"status" doc:"The HTTP status." example:"400"`
	Detail    string         `json:"detail" doc:"What went wrong this time, and the next step." example:"plan is needed. Choose one of: starter, basic."`
	Instance  string         `json:"instance" doc:"The path that was called." example:"/api/v1/onboarding"`
	Success   bool           `json:"success" doc:"Always false." enum:"false"`
	Error     string         `json:"error" doc:"The same as detail." example:"plan is needed. Choose one of: starter, basic."`
	Code      hub.Code       `json:"code" doc:"What went wrong, for programs. Where several fields are wrong, the first one's." example:"MISSING_FIELD"`
	RequestID string         `json:"request_id" doc:"The X-Request-Id of the call; quote it when you ask for help." example:"call_01ja8w1x5q0000000000000000"`
	Errors    []fieldProblem `json:"errors" doc:"Every wrong field at once; empty where no field is wrong."`

	status     int
	details    map[string]any
	retryAfter string
}

type fieldProblem struct {
	Pointer string   `json:"pointer" doc:"JSON pointer of the field in the body, or the name of the parameter after a slash." example:"/plan"`
	Code    hub.Code `json:"code" doc:"What is wrong with it, for programs." example:"MISSING_FIELD"`
	Detail  string   `json:"detail" doc:"What is wrong with it, and the next step." example:"plan is needed. Choose one of: starter, basic."`
}

// retrySeconds is what a caller is asked to wait where trying again will do.
const retrySeconds = "2"

// refusalOf turns any error into what strangers may see. What is not a refusal gets a neutral sentence.
//
// hub.ErrConflict (a row changed between read and write, which the service could not settle itself) is UNAVAILABLE and not a 409: nothing
// was changed, trying again will do, and a 409 would be kept under its Idempotency-Key so that every repetition got it.
func refusalOf(err error) *hub.Error {
	var e *hub.Error
	switch {
	case errors.As(err, &e) && e.Code != hub.CodeInternal:
		if _, known := kinds[e.Code]; known {
			return e
		}
	case errors.Is(err, hub.ErrConflict):
		return hub.E(hub.CodeUnavailable, "Somebody else changed this at the same moment.", "Nothing was changed; try again.")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return hub.E(hub.CodeUnavailable, "The hub did not finish this in time.", "Try again in a few seconds.")
	}
	return hub.E(hub.CodeInternal, "Something went wrong on our side.", "Try again; if it stays, tell the operator of this hub the request id.")
}

func newProblem(r *http.Request, err error) *Problem {
	e := refusalOf(err)
	k := kinds[e.Code]
	p := &Problem{
		Type: problemType(e.Code), Title: k.title, Status: k.status, Detail: e.Error(), Instance: instance(r), Error: e.Error(),
		Code: e.Code, RequestID: web.RequestID(r.Context()), Errors: []fieldProblem{}, status: k.status, details: shownDetails(e.Details),
	}
	fields := e.Fields
	if len(fields) == 0 && e.Field != "" {
		fields = []*hub.Error{e}
	}
	for _, f := range fields[:min(len(fields), maxErrors)] {
		p.Errors = append(p.Errors, fieldProblem{Pointer: "/" + f.Field, Code: f.Code, Detail: f.Error()})
	}
	if k.status == http.StatusServiceUnavailable || k.status == http.StatusTooManyRequests || e.Code == hub.CodeIdempotencyInFlight {
		p.retryAfter = retrySeconds
	}
	return p
}

// Sample is the problem document of a code as the documentation shows it; c has to be in the table.
func Sample(c hub.Code, instance string) Problem {
	k := kinds[c]
	return Problem{
		Type: problemType(c), Title: k.title, Status: k.status, Detail: k.title + ".", Instance: instance,
		Error: k.title + ".", Code: c, RequestID: "call_01ja8w1x5q0000000000000000", Errors: []fieldProblem{},
	}
}

func problemType(c hub.Code) string {
	return "urn:kitshub:problem:" + strings.ReplaceAll(strings.ToLower(string(c)), "_", "-")
}

// instance is the path, but not where a path holds a token.
func instance(r *http.Request) string {
	p := r.URL.EscapedPath()
	for _, secret := range []string{"/status/", "/setup/"} {
		if strings.HasPrefix(p, secret) {
			return strings.TrimSuffix(secret, "/")
		}
	}
	return p
}

// MarshalJSON adds the details (assigned_to, operation_id …) as further members. One that would hide a member of the problem document gets
// the prefix request_: INVALID_TRANSITION has the status of its request there.
func (p *Problem) MarshalJSON() ([]byte, error) {
	type plain Problem
	b, err := Marshal((*plain)(p))
	if err != nil || len(p.details) == 0 {
		return b, err
	}
	b = b[:len(b)-1]
	for _, name := range slices.Sorted(maps.Keys(p.details)) {
		v, err := Marshal(p.details[name])
		if err != nil {
			return nil, err
		}
		if slices.Contains(problemMembers, name) {
			name = "request_" + name
		}
		k, err := Marshal(name)
		if err != nil {
			return nil, err
		}
		b = append(append(append(append(b, ','), k...), ':'), v...)
	}
	return append(b, '}'), nil
}

var problemMembers = []string{"type", "title", "status", "detail", "instance", "success", "error", "code", "request_id", "errors"}

// ProblemJSON is the media type of problem documents.
const ProblemJSON = "application/problem+json"

// Refusal is any error as an answer: a problem document that tells strangers no cause.
func Refusal(r *http.Request, err error) Sent {
	p := newProblem(r, err)
	body, merr := Marshal(p)
	if merr != nil { // a detail that cannot be shown; the rest still can
		p.details = nil
		body, _ = Marshal(p)
	}
	atOnce, _ := p.details["limit"].(int)
	return Sent{Answer: hub.Answer{Status: p.status, ContentType: ProblemJSON, Body: append(body, '\n')}, RetryAfter: p.retryAfter, atOnce: atOnce}
}

// Tell logs what strangers do not see: every failure of ours with its cause, under the pattern of its route. That a caller left is none.
func Tell(log *slog.Logger, r *http.Request, route string, err error) {
	e := refusalOf(err)
	if kinds[e.Code].status < 500 || (errors.Is(err, context.Canceled) && r.Context().Err() != nil) {
		return
	}
	cause := err
	if e.Cause != nil {
		cause = errors.Join(err, e.Cause)
	}
	log.ErrorContext(r.Context(), "a call failed", "route", route, "code", string(e.Code), "error", cause.Error(), "request_id", web.RequestID(r.Context()))
}

// shownDetails are the further members of a problem as they are sent.
func shownDetails(d map[string]any) map[string]any {
	checks, ok := d["checks"].([]hub.Check)
	if !ok {
		return d
	}
	d = maps.Clone(d)
	d["checks"] = ChecksOf(checks)
	return d
}

// TrialCheckDoc is one look at a database that is brought: in the answer to its test, and in a problem document whose test failed.
type TrialCheckDoc struct {
	Name      string `json:"name" doc:"What was looked at: address, connect, version, primary, contents, rights or room." example:"connect"`
	OK        bool   `json:"ok" doc:"Whether it is as it must be." example:"true"`
	Detail    string `json:"detail" doc:"What was found." example:"Logged in over TLS 1.3."`
	LatencyMS int64  `json:"latency_ms" doc:"How long the look took, in milliseconds." example:"12"`
}

// ChecksOf shows what a test of a database looked at.
func ChecksOf(checks []hub.Check) []TrialCheckDoc {
	out := make([]TrialCheckDoc, len(checks))
	for i, c := range checks {
		out[i] = TrialCheckDoc{c.Name, c.OK, c.Detail, c.Took.Milliseconds()}
	}
	return out
}
