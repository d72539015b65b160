package httpapi

import (
	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// policy says who may call a route. The zero value is nobody: such a route does not register.
type policy int

const (
	nobody   policy = iota
	anybody         // no login
	browser         // no login yet, but it sets or clears the session cookie: other sites may not send it
	customer        // a status token; the use case looks whose it is
	operator        // a session or an API token; the use case looks at the role
)

// admit finds out who calls, by the route's policy.
func (c *call) admit() error {
	switch c.route.policy {
	case anybody:
		return nil
	case browser:
		return c.sameOrigin()
	case customer:
		token, given, err := wire.Bearer(c.r)
		if err == nil && !given {
			err = hub.E(hub.CodeUnauthenticated, "A status token is needed.", "Send it as Authorization: Bearer <status_token>; ask for a fresh link at /api/v1/status/lookup.")
		}
		c.token = token
		return err
	case operator:
		return c.admitOperator()
	}
	return hub.E(hub.CodeForbidden, "Nobody may call this.", "")
}

func (c *call) admitOperator() error {
	token, given, err := wire.Bearer(c.r)
	if err != nil {
		return err
	}
	var actor hub.Actor
	if given {
		actor, err = c.Service.TokenActor(c.ctx, token)
	} else {
		c.token = c.Cookies.Read(c.r)
		if err := c.sameOrigin(); err != nil {
			return err
		}
		actor, err = c.Service.SessionActor(c.ctx, c.token)
	}
	if err != nil {
		return err
	}
	c.actor = actor
	c.ctx = web.WithActor(c.ctx, actor)
	return nil
}

// sameOrigin refuses what another site makes a browser send. Calls with an Authorization header need no such check: no site can make a
// browser add one.
func (c *call) sameOrigin() error {
	if err := c.cross.Check(c.r); err != nil {
		return &hub.Error{Code: hub.CodeForbidden, Message: "This call was sent by another site.", Fix: "Call it from the hub's own pages, or use an API token.", Cause: err}
	}
	return nil
}
