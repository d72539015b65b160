package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

// endTime bounds the writing down of a refusal after the call itself is over.
const endTime = 5 * time.Second

// takesKey: every mutation but login and reveal, whose answers must not be kept.
func (c *call) takesKey() bool { return c.route.method == http.MethodPost && !c.route.noKey }

// principal says whose key it is. For calls without a login it is the same for all, since a repetition may come from another address; what
// such a call's answer holds goes only to who has both key and body.
func (c *call) principal() string {
	switch c.route.policy {
	case operator:
		return string(c.actor.Kind) + ":" + c.actor.ID
	case customer:
		sum := sha256.Sum256([]byte(c.token))
		return "status:" + hex.EncodeToString(sum[:])
	}
	return "public"
}

// once runs the handler under an Idempotency-Key: a repetition gets the first answer, byte for byte.
func (c *call) once(key string) (wire.Sent, error) {
	body := c.body
	if c.route.doc.body == nil { // no body and {} are the same call
		body = nil
	}
	held, earlier, err := c.Service.TakeReceipt(c.ctx, c.principal(), c.route.method+" "+c.route.path+" "+c.r.URL.Path, key, body)
	if err != nil {
		return wire.Sent{}, err
	}
	if earlier != nil {
		return wire.Sent{Answer: *earlier, Replayed: true}, nil
	}
	c.receipt = held
	end := func(a hub.Answer) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), endTime)
		defer cancel()
		if err := c.Service.EndReceipt(ctx, held, a); err != nil {
			c.Log.WarnContext(ctx, "an idempotency key could not be closed; it is free again when this process ends", "route", c.route.path, "error", err)
		}
	}
	ended := false
	defer func() {
		if !ended { // a panic: free the key, then let Recover answer
			end(hub.Answer{Status: http.StatusInternalServerError})
		}
	}()
	out, err := c.run()
	if err != nil {
		out = c.refuse(err)
	}
	ended = true
	end(out.Answer)
	return out, nil
}

// effect runs a use case that changes something. Under an Idempotency-Key its answer is rendered inside the use case's transaction and
// stored with it, and what is sent are those bytes.
//
// R must be what the use case's transaction gives back, else the call fails: nothing may be changed whose answer is not kept.
func effect[R any](c *call, run func(context.Context) (R, error), show func(R) answer) (answer, error) {
	if c.receipt == nil {
		out, err := run(c.ctx)
		if err != nil {
			return answer{}, err
		}
		return show(out), nil
	}
	var kept *hub.Answer
	c.receipt.Render = func(result any) (hub.Answer, error) {
		r, ok := result.(R)
		if !ok {
			return hub.Answer{}, fmt.Errorf("the use case behind %s gave %T, not %T", c.route.path, result, r)
		}
		a, err := show(r).encode()
		kept = &a
		return a, err
	}
	out, err := run(hub.WithReceipt(c.ctx, c.receipt))
	if err != nil {
		return answer{}, err
	}
	a := show(out)
	a.kept = kept
	return a, nil
}
