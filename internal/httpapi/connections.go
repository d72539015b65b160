package httpapi

import (
	"context"
	"net/http"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

// connectionBody is a database that an operator brings: a connection string, or a Supabase project's fields.
type connectionBody struct {
	Provider         string  `json:"provider" doc:"manual for a connection string, supabase for a project; for credentials also a provider of this hub that makes the database itself, and nothing else in the body." example:"manual"`
	ConnectionString *string `json:"connection_string,omitempty" nullable:"false" doc:"manual: postgres://user:password@host:5432/database. Keys that may follow: application_name, channel_binding, connect_timeout, sslmode, target_session_attrs." example:"postgres://app:secret@db.example.com:5432/app?sslmode=require"`
	ProjectRef       *string `json:"project_ref,omitempty" nullable:"false" doc:"supabase: the project's reference, 20 letters." example:"abcdefghijklmnopqrst"`
	ProjectURL       *string `json:"project_url,omitempty" nullable:"false" doc:"supabase: its URL." example:"https://abcdefghijklmnopqrst.supabase.co"`
	AnonKey          *string `json:"anon_key,omitempty" nullable:"false" doc:"supabase: the key for the role anon, or a publishable key." example:"sb_publishable_…"`
	ServiceRoleKey   *string `json:"service_role_key,omitempty" nullable:"false" doc:"supabase: the key for the role service_role, or a secret key." example:"sb_secret_…"`
	DatabasePassword *string `json:"database_password,omitempty" nullable:"false" doc:"supabase: the password of the role postgres." example:"a long password"`
	Region           *string `json:"region,omitempty" nullable:"false" doc:"supabase: the project's region; its pooler is used where the hub's network does not reach the project over IPv6." example:"eu-central-1"`
}

// offer is what was given, by the names of the fields.
func (b connectionBody) offer() hub.Offer {
	o := hub.Offer{Provider: b.Provider, Given: map[string]string{}}
	for name, v := range map[string]*string{
		"connection_string": b.ConnectionString, "project_ref": b.ProjectRef, "project_url": b.ProjectURL, "anon_key": b.AnonKey,
		"service_role_key": b.ServiceRoleKey, "database_password": b.DatabasePassword, "region": b.Region,
	} {
		if v != nil {
			o.Given[name] = *v
		}
	}
	return o
}

func giveCredentials(c *call) (answer, error) {
	var in connectionBody
	id, err := c.edit(&in, func() *hub.Error { return nil }) // the use case says what is missing
	if err != nil {
		return answer{}, err
	}
	return effect(c, func(ctx context.Context) (*hub.Request, error) {
		r, _, err := c.Service.GiveCredentials(ctx, c.actor, id, in.offer())
		return r, err
	}, func(r *hub.Request) answer {
		return answer{status: http.StatusAccepted, data: requestOf(r), location: "/api/v1/operations/" + r.OperationID}
	})
}

type trialDoc struct {
	OK            bool                 `json:"ok" doc:"Always true: a database that cannot be used is answered with 422, whose checks say how far the test came." example:"true"`
	Checks        []wire.TrialCheckDoc `json:"checks" doc:"What was looked at, in that order."`
	ServerVersion string               `json:"server_version" doc:"As the server says it." example:"15.8"`
	Place         string               `json:"place" doc:"Host, port and database, without secrets." example:"db.example.com:5432/app"`
	LatencyMS     int64                `json:"latency_ms" doc:"How long all of it took, in milliseconds." example:"80"`
}

func testConnection(c *call) (answer, error) {
	var in connectionBody
	wrong, err := wire.Decode(c.body, &in)
	if err != nil {
		return answer{}, err
	}
	q := wire.ReadQuery(c.r)
	id := q.Text("request")
	if id != "" && !wire.GoodID(id, "req_") {
		q.Refuse("request", "This is no id of a request.", "Leave it out, or give the id of the request that the database is for.")
	}
	if wrong = append(wrong, q.Wrong...); len(wrong) > 0 {
		return answer{}, mistypedOnly(wrong)
	}
	return effect(c, func(ctx context.Context) (*hub.Trial, error) {
		return c.Service.TestConnection(ctx, c.actor, in.offer(), id)
	}, func(t *hub.Trial) answer {
		return answer{data: trialDoc{OK: true, Checks: wire.ChecksOf(t.Checks), ServerVersion: t.ServerVersion, Place: t.Place, LatencyMS: t.Took.Milliseconds()}}
	})
}
