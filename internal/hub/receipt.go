package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"
)

// ReceiptLife is how long an answer is kept for its Idempotency-Key.
const ReceiptLife = 24 * time.Hour

// Answer is what a caller got, kept for a repetition of the call.
type Answer struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Location    string `json:"location,omitempty"`
	Body        []byte `json:"body"`
}

// PendingReceipt is a key that this process holds while its call runs.
type PendingReceipt struct {
	row    Receipt
	stored bool
	// Render turns the use case's result into the answer; set by the edge. It runs inside the transaction and touches nothing else.
	Render func(result any) (Answer, error)
}

type receiptKey struct{}

// WithReceipt makes the use case that runs under ctx store its answer together with its effect.
func WithReceipt(ctx context.Context, p *PendingReceipt) context.Context {
	return context.WithValue(ctx, receiptKey{}, p)
}

// ReceiptFrom gives the receipt of the call, or nil.
func ReceiptFrom(ctx context.Context) *PendingReceipt {
	p, _ := ctx.Value(receiptKey{}).(*PendingReceipt)
	return p
}

// TakeReceipt begins a call with an Idempotency-Key. It gives either the stored answer of an earlier call, or a receipt that this call holds.
//
// Errors: CodeIdempotencyMismatch for another body, CodeIdempotencyInFlight while the first call runs.
func (s *Service) TakeReceipt(ctx context.Context, principal, route, key string, body []byte) (*PendingReceipt, *Answer, error) {
	p := &PendingReceipt{row: Receipt{Principal: principal, Route: route, KeyHash: s.tokens.Hash(key), BodyHash: s.tokens.Hash(string(body)), Instance: s.instance}}
	var there *Receipt
	err := s.store.Write(ctx, func(tx Tx) error {
		p.row.CreatedAt = tx.Now()
		var err error
		if there, err = tx.TakeReceipt(ctx, &p.row); err != nil || there == nil {
			return err
		}
		free := there.CreatedAt.Before(tx.Now().Add(-ReceiptLife))
		if !free && there.Status == 0 {
			live, err := s.liveIDs(ctx, tx)
			if err != nil {
				return err
			}
			free = !live[there.Instance]
		}
		if !free {
			return nil
		}
		if err := tx.FreeReceipt(ctx, there); err != nil {
			return err
		}
		there, err = tx.TakeReceipt(ctx, &p.row)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if there == nil {
		return p, nil, nil
	}
	if !bytes.Equal(there.BodyHash, p.row.BodyHash) {
		return nil, nil, E(CodeIdempotencyMismatch, "This Idempotency-Key was used with another body.", "Use a new key for a new request, or send the same body.")
	}
	if there.Status == 0 {
		return nil, nil, E(CodeIdempotencyInFlight, "The first call with this Idempotency-Key is still running.", "Wait for its answer, then ask again with the same key.")
	}
	plain, err := s.vault.OpenBytes(there.Sealed, receiptPlace(there), "receipt", 1)
	if err != nil {
		return nil, nil, err
	}
	var a Answer
	if err := json.Unmarshal(plain, &a); err != nil {
		return nil, nil, err
	}
	return nil, &a, nil
}

func receiptPlace(r *Receipt) string {
	return r.Principal + "\n" + r.Route + "\n" + string(r.KeyHash)
}

// storeReceipt keeps the answer of the use case in its own transaction.
func (s *Service) storeReceipt(ctx context.Context, tx Tx, result any) error {
	p := ReceiptFrom(ctx)
	if p == nil || p.Render == nil {
		return nil
	}
	a, err := p.Render(result)
	if err != nil {
		return err
	}
	return s.finishReceipt(ctx, tx, p, a)
}

func (s *Service) finishReceipt(ctx context.Context, tx Tx, p *PendingReceipt, a Answer) error {
	plain, err := json.Marshal(a)
	if err != nil {
		return err
	}
	p.row.Status = a.Status
	if p.row.Sealed, err = s.vault.SealBytes(plain, receiptPlace(&p.row), "receipt", 1); err != nil {
		return err
	}
	p.stored = true
	if err := tx.FinishReceipt(ctx, &p.row); errors.Is(err, ErrConflict) {
		return E(CodeIdempotencyInFlight, "Another call took over this Idempotency-Key.", "Ask again with the same key.")
	} else if err != nil {
		return err
	}
	return nil
}

// EndReceipt closes a call: an answer that is kept (409 and 422, which have no effect to be stored with) is stored now; a key whose
// call came to nothing is freed. A success was stored with its effect already.
func (s *Service) EndReceipt(ctx context.Context, p *PendingReceipt, a Answer) error {
	if a.Status >= 200 && a.Status < 300 && p.stored {
		return nil
	}
	return s.store.Write(ctx, func(tx Tx) error {
		if a.Status == 409 || a.Status == 422 || (a.Status >= 200 && a.Status < 300) {
			return s.finishReceipt(ctx, tx, p, a)
		}
		// Only one in flight: if the effect's commit went through after all, though the hub never heard so, its answer stays.
		held := p.row
		held.Status = 0
		return tx.FreeReceipt(ctx, &held)
	})
}
