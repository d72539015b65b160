package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

type addressBody struct {
	Street  string `json:"street,omitempty" doc:"Street and number." example:"1 Market St"`
	City    string `json:"city,omitempty" doc:"City." example:"Springfield"`
	State   string `json:"state,omitempty" doc:"State or province." example:"OR"`
	Zip     string `json:"zip,omitempty" doc:"Postal code." example:"97477"`
	Country string `json:"country,omitempty" doc:"Country." example:"US"`
}

type signUpBody struct {
	Email               string      `json:"email" wrong:"INVALID_EMAIL_FORMAT" maxLength:"254" doc:"Where mails go; trimmed and lower-cased. One live request for each." example:"ada@example.com"`
	CompanyName         string      `json:"company_name" maxLength:"200" doc:"As people write it." example:"O'Neil & Söhne"`
	ContactName         string      `json:"contact_name" maxLength:"200" doc:"Who we write to." example:"Ada Lovelace"`
	Plan                string      `json:"plan" doc:"The id of a plan." example:"starter"`
	Features            []string    `json:"features,omitempty" doc:"Those of the plan that are wanted; what they depend on and core come with them. Left out: all of the plan." example:"[\"inventory\"]"`
	Phone               string      `json:"phone,omitempty" maxLength:"50" doc:"Phone number." example:"+1 541 555 0100"`
	BillingCycle        string      `json:"billing_cycle,omitempty" enum:"monthly,yearly" default:"monthly" doc:"How often to bill." example:"monthly"`
	Billing             addressBody `json:"billing_address,omitempty" doc:"Where the bill goes."`
	ReferralSource      string      `json:"referral_source,omitempty" maxLength:"200" doc:"How you found us." example:"a friend"`
	SpecialRequirements string      `json:"special_requirements,omitempty" maxLength:"2000" doc:"What else we should know." example:"Please import our old stock list."`
}

type customerDoc struct {
	ID          string `json:"id" doc:"The customer's id." example:"cus_01ja8w1x5q0000000000000000"`
	Email       string `json:"email" doc:"As we keep it." example:"ada@example.com"`
	CompanyName string `json:"company_name" doc:"As people write it." example:"O'Neil & Söhne"`
	ContactName string `json:"contact_name" doc:"Who we write to." example:"Ada Lovelace"`
}

type placeDoc struct {
	ID        string    `json:"id" doc:"The request's id." example:"req_01ja8w1x5q0000000000000000"`
	Status    hub.State `json:"status" enum:"pending,in_progress,credentials_received,migrating,completed,failed,cancelled" doc:"Where it stands." example:"pending"`
	Priority  int       `json:"priority" minimum:"0" maximum:"2" doc:"0 normal, 1 high, 2 urgent." example:"0"`
	Plan      string    `json:"plan" doc:"The plan's id." example:"starter"`
	Features  []string  `json:"features" doc:"All that will be set up, in order." example:"[\"core\",\"inventory\"]"`
	CreatedAt time.Time `json:"created_at" doc:"When it entered the line." example:"2026-11-22T16:00:00Z"`
}

type signedUpDoc struct {
	Customer    customerDoc `json:"customer" doc:"Who signed up."`
	Request     placeDoc    `json:"request" doc:"The place in the line."`
	Position    int         `json:"position" doc:"1 is next." example:"3"`
	Ahead       int         `json:"ahead_in_queue" doc:"How many are served before." example:"2"`
	Wait        waitDoc     `json:"estimated_wait" doc:"Until it starts."`
	StatusToken string      `json:"status_token" doc:"Opens the status; keep it secret." example:"kst_0000000000000000000000000000000000000000000"`
	StatusURL   string      `json:"status_url" doc:"The waiting page." example:"http://127.0.0.1:8080/status/kst_0000000000000000000000000000000000000000000"`
}

func onboard(c *call) (answer, error) {
	var in signUpBody
	wrong, err := wire.Decode(c.body, &in)
	if err != nil {
		return answer{}, err
	}
	s := hub.SignUp{
		Email: in.Email, CompanyName: in.CompanyName, ContactName: in.ContactName, Plan: in.Plan, Features: in.Features, Phone: in.Phone,
		BillingCycle: in.BillingCycle, Billing: hub.Address(in.Billing), ReferralSource: in.ReferralSource, SpecialRequirements: in.SpecialRequirements,
	}
	if len(wrong) > 0 {
		return answer{}, merge(wrong, c.Service.CheckSignUp(s))
	}
	return effect(c, func(ctx context.Context) (hub.SignedUp, error) { return c.Service.SignUp(ctx, s) }, func(s hub.SignedUp) answer {
		r := s.Request
		return answer{status: http.StatusCreated, data: signedUpDoc{
			Customer:    customerDoc{s.Customer.ID, s.Customer.Email, s.Customer.CompanyName, s.Customer.ContactName},
			Request:     placeDoc{r.ID, r.State, r.Priority, r.Plan, list(r.Features), r.EnqueuedAt.UTC()},
			Position:    s.Ahead + 1,
			Ahead:       s.Ahead,
			Wait:        waitOf(s.Wait),
			StatusToken: s.StatusToken,
			StatusURL:   s.StatusURL,
		}}
	})
}

type lookupBody struct {
	Email string `json:"email" wrong:"INVALID_EMAIL_FORMAT" doc:"The address you signed up with." example:"ada@example.com"`
}

type lookupDoc struct {
	Message string `json:"message" doc:"The same for every address." example:"If this address has a place in the line, a fresh status link is on its way."`
}

// lookupTime is how long a look-up takes at least. A known address means one row more to write, and on a disk that can be heard from
// outside; with this floor both take the same.
const lookupTime = 150 * time.Millisecond

func lookupStatus(c *call) (answer, error) {
	floor := time.NewTimer(lookupTime)
	defer floor.Stop()
	var in lookupBody
	wrong, err := wire.Decode(c.body, &in)
	if err != nil {
		return answer{}, err
	}
	if len(wrong) > 0 {
		return answer{}, mistypedOnly(wrong)
	}
	a, err := effect(c, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.Service.LookupStatus(ctx, in.Email) }, func(struct{}) answer {
		return answer{status: http.StatusAccepted, data: lookupDoc{"If this address has a place in the line, a fresh status link is on its way."}}
	})
	if err == nil {
		select {
		case <-floor.C:
		case <-c.ctx.Done():
		}
	}
	return a, err
}
