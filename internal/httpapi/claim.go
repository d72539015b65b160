package httpapi

import (
	"context"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

type (
	moveFunc   func(context.Context, hub.Actor, string) (*hub.Request, error)
	handleFunc func(*call) (answer, error)
)

// move makes the handler of a move without a body.
func move(pick func(*hub.Service) moveFunc) handleFunc {
	return func(c *call) (answer, error) {
		id, err := wire.PathID(c.r, "request", "req_")
		if err != nil {
			return answer{}, err
		}
		return effect(c, func(ctx context.Context) (*hub.Request, error) { return pick(c.Service)(ctx, c.actor, id) }, moved)
	}
}

func moved(r *hub.Request) answer { return answer{data: requestOf(r)} }

func claimNext(c *call) (answer, error) {
	return effect(c, func(ctx context.Context) (*hub.Request, error) { return c.Service.ClaimNext(ctx, c.actor) }, moved)
}

type assignBody struct {
	OperatorID string `json:"operator_id" doc:"An admin or provisioner." example:"opr_01ja8w1x5q0000000000000000"`
}

func assign(c *call) (answer, error) {
	var in assignBody
	id, err := c.edit(&in, func() *hub.Error {
		switch {
		case in.OperatorID == "":
			return missing("operator_id")
		case !wire.GoodID(in.OperatorID, "opr_"):
			return hub.FieldError(hub.CodeInvalidField, "operator_id", "This is no operator who can work the line.", "Use the id of an admin or provisioner.")
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return effect(c, func(ctx context.Context) (*hub.Request, error) {
		return c.Service.Assign(ctx, c.actor, id, in.OperatorID)
	}, moved)
}

type priorityBody struct {
	Priority *int `json:"priority" required:"true" nullable:"false" minimum:"0" maximum:"2" doc:"0 normal, 1 high, 2 urgent." example:"2"`
}

func setPriority(c *call) (answer, error) {
	var in priorityBody
	id, err := c.edit(&in, func() *hub.Error {
		if in.Priority == nil {
			return missing("priority")
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return effect(c, func(ctx context.Context) (*hub.Request, error) {
		return c.Service.SetPriority(ctx, c.actor, id, *in.Priority)
	}, moved)
}

type notesBody struct {
	Text *string `json:"text" required:"true" nullable:"false" maxLength:"2000" doc:"Replaces the notes; empty removes them." example:"Called back on Monday."`
}

func setNotes(c *call) (answer, error) {
	var in notesBody
	id, err := c.edit(&in, func() *hub.Error {
		if in.Text == nil {
			return missing("text")
		}
		return nil
	})
	if err != nil {
		return answer{}, err
	}
	return effect(c, func(ctx context.Context) (*hub.Request, error) { return c.Service.SetNotes(ctx, c.actor, id, *in.Text) }, moved)
}

// edit reads the id and the body; check looks at what was read.
func (c *call) edit(in any, check func() *hub.Error) (id string, err error) {
	if id, err = wire.PathID(c.r, "request", "req_"); err != nil {
		return "", err
	}
	wrong, err := wire.Decode(c.body, in)
	if err != nil {
		return "", err
	}
	if len(wrong) == 0 {
		if e := check(); e != nil {
			wrong = append(wrong, e)
		}
	}
	return id, mistypedOnly(wrong)
}

func missing(field string) *hub.Error {
	return hub.FieldError(hub.CodeMissingField, field, field+" is needed.", "Fill in "+field+".")
}
