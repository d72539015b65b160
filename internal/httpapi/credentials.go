package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

type credentialsBody struct {
	Provider string `json:"provider" doc:"Who makes the database: a provider of this hub, and nothing else in the body." example:"sqlite"`
}

func giveCredentials(c *call) (answer, error) {
	id, err := c.pathID("request", "req_")
	if err != nil {
		return answer{}, err
	}
	var in credentialsBody
	wrong, err := decode(c.body, &in)
	if err != nil {
		return answer{}, c.unknownProvider(err)
	}
	if len(wrong) > 0 {
		return answer{}, mistypedOnly(wrong)
	}
	a, err := effect(c, func(ctx context.Context) (*hub.Request, error) {
		r, _, err := c.Service.GiveCredentials(ctx, c.actor, id, hub.Offer{Provider: in.Provider})
		return r, err
	}, func(r *hub.Request) answer {
		return answer{status: http.StatusAccepted, data: requestOf(r), location: "/api/v1/operations/" + r.OperationID}
	})
	return a, err
}

// unknownProvider: the fields of a provider that this hub does not have are unknown to it; then the provider is what is wrong.
func (c *call) unknownProvider(err error) error {
	var in struct {
		Provider         string `json:"provider"`
		ConnectionString string `json:"connection_string"`
		ProjectRef       string `json:"project_ref"`
		ProjectURL       string `json:"project_url"`
		AnonKey          string `json:"anon_key"`
		ServiceRoleKey   string `json:"service_role_key"`
		DatabasePassword string `json:"database_password"`
		Region           string `json:"region"`
	}
	names := c.Service.ProviderNames()
	if _, derr := decode(c.body, &in); derr != nil || in.Provider == "" || slices.Contains(names, in.Provider) {
		return err
	}
	slices.Sort(names)
	return fieldError(hub.CodeInvalidField, "provider", "This hub has no such provider.", "Use one of: "+strings.Join(names, ", ")+".")
}
