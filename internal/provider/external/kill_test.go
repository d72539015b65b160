package external

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/kitshub/kitshub/internal/catalog"
	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/tenantdb"
)

// thread is cut after so many words to the server, as when the hub is killed there: every connection is gone, and none is made any more.
type thread struct {
	left atomic.Int64
}

var errCut = errors.New("cut")

func (h *thread) dialer() *egress.Dialer {
	return egress.New(egress.Options{Allow: loopback, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		if h.left.Load() <= 0 {
			return nil, errCut
		}
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return &cutConn{c, h}, err
	}})
}

type cutConn struct {
	net.Conn
	h *thread
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.h.left.Add(-1) < 0 {
		_ = c.Close()
		return 0, errCut
	}
	return c.Conn.Write(b)
}

// wayAndBack is create, seal, a step, and giving back.
func wayAndBack(ctx context.Context, p hub.Provider, x tenant, steps []hub.Step) error {
	if err := p.Create(ctx, x.Backend, x.Credentials, hub.Template{}); err != nil {
		return err
	}
	db, err := p.Open(ctx, x.Backend, x.Credentials, hub.RoleOwner)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	td := tenantdb.New(catalog.Split)
	if err := td.Identify(ctx, db, hub.Postgres, ident1); err != nil {
		return err
	}
	for _, s := range steps[:4] {
		if s.InLedger() {
			if err := td.Apply(ctx, db, hub.Postgres, s); err != nil {
				return err
			}
		}
	}
	return p.Drop(ctx, x.Backend, x.Credentials)
}

// Killed between any two words to the server, the way there and back is gone again and leaves nothing.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	g := newGround(t, "")
	steps, before := core(t), g.all()
	x := bring(t, manual(), "ten_1", conn(g.URL))
	kills := 0
	for n := int64(3); ; n += 7 {
		h := &thread{}
		h.left.Store(n)
		err := wayAndBack(t.Context(), NewManual(h.dialer(), nil), x, steps)
		if err == nil && h.left.Load() >= 0 {
			break // nothing was left to cut
		}
		kills++
		if kills%2 == 0 { // the next hub gives it back, where it stands
			drop(t, manual(), x)
		} else if err := wayAndBack(t.Context(), manual(), x, steps); err != nil {
			t.Fatalf("after a cut at word %d: %v", n, err)
		}
		if after := g.all(); after != before {
			t.Fatalf("after a cut at word %d there is\n%s", n, after)
		}
	}
	if kills < 8 {
		t.Errorf("only %d kills", kills)
	}
	t.Logf("%d kills", kills)
}
