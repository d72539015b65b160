package httpapi

import (
	"bytes"
	"errors"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
)

// readBody reads the body. A call whose route has no body may still send {}.
func (c *call) readBody() error {
	body, err := wire.ReadBody(c.r)
	if err != nil {
		return err
	}
	c.body = body
	if c.route.doc.body != nil || len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var none struct{}
	_, err = wire.Decode(body, &none)
	return err
}

// mistypedOnly gives a refusal made of what decoding found, or nil.
func mistypedOnly(wrong []*hub.Error) error { return hub.MergeFieldErrors(wrong, nil) }

// merge joins what decoding found with what the use case said. A refusal that is not about fields (a role, a missing row) stands alone.
func merge(wrong []*hub.Error, err error) error {
	var e *hub.Error
	if len(wrong) == 0 || (err != nil && (!errors.As(err, &e) || len(e.Fields) == 0)) {
		return err
	}
	if err == nil {
		return mistypedOnly(wrong)
	}
	return hub.MergeFieldErrors(wrong, e)
}
