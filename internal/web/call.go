package web

import (
	"context"
	"sync"

	"github.com/kitshub/kitshub/internal/hub"
)

// call is what the middlewares know of one request. It is shared by pointer, because a handler deep inside learns the route and the actor
// while the access log outside writes them. It is the request's context itself and has room for all that the middlewares need, so that a
// call costs one allocation and one copy of the request however many middlewares there are.
type call struct {
	context.Context //nolint:containedctx // it is a context

	id      [1]string // as the value of a header
	traceID string
	rec     recorder
	after   *sequel // set by a handler whose answer goes on when it has returned

	mu    sync.Mutex
	route string
	actor string
}

type callKey struct{}

// Value implements context.Context.
func (c *call) Value(key any) any {
	switch key.(type) {
	case callKey:
		return c
	case hub.CallKey:
		return c.id[0]
	}
	return c.Context.Value(key)
}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// RequestID gives the X-Request-Id of the call, or "".
func RequestID(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.id[0]
	}
	return ""
}

// TraceID gives the trace id of the caller's traceparent, or "".
func TraceID(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.traceID
	}
	return ""
}

// SetRoute names the route pattern ("/api/v1/requests/{id}") for log and metrics. A router that nests its own mux calls it; without it the
// pattern of the outer ServeMux is used. Never pass a real path: paths can hold tokens.
func SetRoute(ctx context.Context, pattern string) {
	if c := callFrom(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.route = pattern
	}
}

func (c *call) seen() (route, actor string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.route, c.actor
}

type actorKey struct{}

// WithActor keeps who acts: always from a session or a token, never from a body.
func WithActor(ctx context.Context, a hub.Actor) context.Context {
	if c := callFrom(ctx); c != nil {
		c.mu.Lock()
		c.actor = a.ID
		c.mu.Unlock()
	}
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom gives what WithActor kept; ok is false for a call without a login.
func ActorFrom(ctx context.Context) (a hub.Actor, ok bool) {
	a, ok = ctx.Value(actorKey{}).(hub.Actor)
	return a, ok
}
