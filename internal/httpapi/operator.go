package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

type operatorDoc struct {
	ID        string     `json:"id" doc:"The operator's id." example:"opr_01ja8w1x5q0000000000000000"`
	Email     string     `json:"email" doc:"The operator's address; empty for an API token." example:"grace@example.com"`
	Name      string     `json:"name" doc:"The operator's name." example:"Grace Hopper"`
	Role      hub.Rank   `json:"role" enum:"admin,provisioner,support" doc:"What the operator may do." example:"provisioner"`
	CreatedAt *time.Time `json:"created_at,omitempty" doc:"When the operator was added." example:"2026-11-01T09:00:00Z"`
	Disabled  bool       `json:"disabled" doc:"May not log in." example:"false"`
}

func operatorOf(o *hub.Operator) operatorDoc {
	d := operatorDoc{ID: o.ID, Email: o.Email, Name: o.Name, Role: o.Rank, Disabled: o.DisabledAt != nil}
	if !o.CreatedAt.IsZero() {
		d.CreatedAt = when(&o.CreatedAt)
	}
	return d
}

type loginBody struct {
	Email    string `json:"email" wrong:"INVALID_EMAIL_FORMAT" doc:"The operator's address." example:"grace@example.com"`
	Password string `json:"password" doc:"The operator's password." example:"correct horse battery staple"`
	TOTP     string `json:"totp,omitempty" doc:"One-time code, where the operator has a second factor." example:"123456"`
}

type loggedOutDoc struct{}

type loggedInDoc struct {
	Operator operatorDoc `json:"operator" doc:"Who is logged in."`
}

func login(c *call) (answer, error) {
	var in loginBody
	wrong, err := wire.Decode(c.body, &in)
	if err != nil {
		return answer{}, err
	}
	if strings.TrimSpace(in.Email) == "" {
		wrong = append(wrong, hub.FieldError(hub.CodeMissingEmail, "email", "An email address is needed.", "Fill in email."))
	}
	if in.Password == "" {
		wrong = append(wrong, missing("password"))
	}
	if err := mistypedOnly(firstOfEach(wrong)); err != nil {
		return answer{}, err
	}
	// A NUL is refused by Postgres; no address has one, so what stands here in its place finds nobody, as it should.
	o, token, err := c.Service.Login(c.ctx, strings.ReplaceAll(in.Email, "\x00", "\uFFFD"), in.Password)
	if err != nil {
		return answer{}, err
	}
	c.Cookies.Set(c.w, token)
	return answer{data: loggedInDoc{operatorOf(o)}}, nil
}

// firstOfEach keeps the first fault of each field: a mistyped field is not missing too.
func firstOfEach(wrong []*hub.Error) []*hub.Error {
	seen := map[string]bool{}
	var out []*hub.Error
	for _, e := range wrong {
		if !seen[e.Field] {
			seen[e.Field] = true
			out = append(out, e)
		}
	}
	return out
}

func logout(c *call) (answer, error) {
	if c.token == "" {
		return answer{}, hub.E(hub.CodeForbidden, "An API token has no session to log out of.", "Call this with the session cookie.")
	}
	if err := c.Service.Logout(c.ctx, c.actor, c.token); err != nil {
		return answer{}, err
	}
	c.Cookies.Clear(c.w)
	return answer{data: loggedOutDoc{}}, nil
}

func me(c *call) (answer, error) {
	o, err := c.Service.Me(c.ctx, c.actor)
	if err != nil {
		return answer{}, err
	}
	return answer{data: loggedInDoc{operatorOf(o)}}, nil
}

// operators has few rows, so it reads all and cuts the page here.
func operators(c *call) (answer, error) {
	q := wire.ReadQuery(c.r)
	limit, after := q.Limit(), q.IDCursor("opr_")
	if err := q.Err(); err != nil {
		return answer{}, err
	}
	rows, err := c.Service.Operators(c.ctx)
	if err != nil {
		return answer{}, err
	}
	if after != "" {
		for i, o := range rows {
			if o.ID == after {
				rows = rows[i+1:]
				break
			}
		}
	}
	rows, next := wire.Page(rows, limit, func(o *hub.Operator) any { return o.ID })
	out := make([]operatorDoc, 0, len(rows))
	for _, o := range rows {
		out = append(out, operatorOf(o))
	}
	return answer{data: out, next: next}, nil
}

type newOperatorBody struct {
	Email    string `json:"email" wrong:"INVALID_EMAIL_FORMAT" maxLength:"254" doc:"The operator's address." example:"grace@example.com"`
	Name     string `json:"name" maxLength:"200" doc:"The operator's name." example:"Grace Hopper"`
	Role     string `json:"role" enum:"admin,provisioner,support" doc:"What the operator may do." example:"provisioner"`
	Password string `json:"password" doc:"At least 15 characters; the operator can change it later." example:"correct horse battery staple"`
}

func createOperator(c *call) (answer, error) {
	var in newOperatorBody
	wrong, err := wire.Decode(c.body, &in)
	if err != nil {
		return answer{}, err
	}
	// Every field is needed, so one that did not decode is missing for the use case too: nothing is made when wrong is not empty.
	a, err := effect(c, func(ctx context.Context) (*hub.Operator, error) {
		return c.Service.CreateOperator(ctx, c.actor, hub.NewOperator{Email: in.Email, Name: in.Name, Rank: hub.Rank(in.Role), Password: in.Password})
	}, func(o *hub.Operator) answer { return answer{status: http.StatusCreated, data: operatorOf(o)} })
	return a, merge(wrong, err)
}

type newTokenBody struct {
	Name string `json:"name" maxLength:"200" doc:"What the token is for." example:"nightly report"`
	Role string `json:"role" enum:"admin,provisioner,support" doc:"What the token may do." example:"support"`
}

type newTokenDoc struct {
	ID        string    `json:"id" doc:"The token's id." example:"tok_01ja8w1x5q0000000000000000"`
	Name      string    `json:"name" doc:"What the token is for." example:"nightly report"`
	Role      hub.Rank  `json:"role" enum:"admin,provisioner,support" doc:"What the token may do." example:"support"`
	Token     string    `json:"token" doc:"The token itself; shown this once." example:"kat_0000000000000000000000000000000000000000000"`
	CreatedAt time.Time `json:"created_at" doc:"When it was made." example:"2026-11-22T16:00:00Z"`
}

func createToken(c *call) (answer, error) {
	var in newTokenBody
	wrong, err := wire.Decode(c.body, &in)
	if err != nil {
		return answer{}, err
	}
	a, err := effect(c, func(ctx context.Context) (hub.MintedToken, error) {
		t, token, err := c.Service.CreateAPIToken(ctx, c.actor, in.Name, hub.Rank(in.Role))
		return hub.MintedToken{APIToken: t, Token: token}, err
	}, func(m hub.MintedToken) answer {
		return answer{status: http.StatusCreated, data: newTokenDoc{m.ID, m.Name, m.Rank, m.Token, m.CreatedAt.UTC()}}
	})
	return a, merge(wrong, err)
}
