package httpapi

import (
	"context"
	"net/http"

	"github.com/kitshub/kitshub/internal/hub"
)

func giveCredentials(c *call) (answer, error) {
	id, err := c.pathID("request", "req_")
	if err != nil {
		return answer{}, err
	}
	var in connectionBody
	wrong, err := decode(c.body, &in)
	if err != nil {
		return answer{}, err
	}
	if len(wrong) > 0 {
		return answer{}, mistypedOnly(wrong)
	}
	return effect(c, func(ctx context.Context) (*hub.Request, error) {
		r, _, err := c.Service.GiveCredentials(ctx, c.actor, id, in.offer())
		return r, err
	}, func(r *hub.Request) answer {
		return answer{status: http.StatusAccepted, data: requestOf(r), location: "/api/v1/operations/" + r.OperationID}
	})
}
