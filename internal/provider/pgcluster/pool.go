package pgcluster

import (
	"context"
	"fmt"
	"maps"

	"github.com/kitshub/kitshub/internal/hub"
)

// The warm pool: databases that are made, probed and waiting. A member is planned as a tenant is, under an id of its own that begins with
// MemberPrefix; the hub seals its credentials and remembers the member before Prepare, as with every intent. At hand-over the database keeps
// its opaque name, roles and password: all that changes on the cluster is one comment, in one round trip and one commit.
//
//	b, c := Plan(member id, 1)          nothing is touched; the hub writes member, place and sealed credentials
//	Prepare(b, c, template)             the database; then the hub seals and probes it, checks what was not copied, and marks the member ready
//	b', c' := Adopt(b, c, tenant, 1)    nothing is touched; in one transaction the hub takes the member off its pool and gives b', c' to the tenant
//	HandOver(b'), or Create(b', c', …)  the comment, may be repeated; the pipeline's step "create" does it

// Parts is the cluster alone.
func (p *Provider) Parts() (all, open []string) { return []string{p.place("")}, []string{p.place("")} }

// Background marks a context as one of work that no customer waits for, so that what is done with it takes no more than its share of the budget.
func (*Provider) Background(ctx context.Context) context.Context { return For(ctx, Refill) }

// Prepare makes a member of the pool, as Create does, with the budget's share for what no customer waits for. copied: this call made it, and not
// from the empty template that stands in for a broken one.
func (p *Provider) Prepare(ctx context.Context, member hub.Backend, c hub.Credentials, t hub.Template) (copied bool, err error) {
	if !isMember(member.TenantID) {
		return false, notAMember(member)
	}
	source, err := p.create(For(ctx, Refill), member, c, t)
	return err == nil && source == p.names.template(t.Key), err
}

// Adopt gives the backend and credentials that a tenant will have when the member is handed over to it. It touches nothing.
func (p *Provider) Adopt(member hub.Backend, c hub.Credentials, tenantID string, generation int64) (hub.Backend, hub.Credentials, error) {
	name, own, err := p.database(member)
	if err != nil {
		return hub.Backend{}, hub.Credentials{}, err
	}
	if !isMember(member.TenantID) || !own || isMember(tenantID) {
		return hub.Backend{}, hub.Credentials{}, notAMember(member)
	}
	if _, _, err := passwords(c, name); err != nil {
		return hub.Backend{}, hub.Credentials{}, err
	}
	b := hub.Backend{TenantID: tenantID, Generation: generation, Provider: Name, Place: member.Place}
	if _, _, err := p.database(b); err != nil {
		return hub.Backend{}, hub.Credentials{}, err
	}
	c.Env = maps.Clone(c.Env)
	c.Env["KITSHUB_TENANT"] = tenantID
	return b, c, nil
}

// HandOver marks the member at b's place as the tenant's, once: what is the tenant's already stays, and what belongs to another tenant, was
// never the pool's or is not finished is refused. It is one statement, so a kill leaves it done or not done.
func (p *Provider) HandOver(ctx context.Context, b hub.Backend) error {
	name, own, err := p.database(b)
	if err != nil {
		return err
	}
	if own || isMember(b.TenantID) {
		return &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("the place %s is %s's own, not one of the pool", b.Place, b.TenantID)}
	}
	return p.with(ctx, "handing over a database of the pool", func(a *admin) error {
		err := a.again(ctx, p.handOverSQL(name, markerOf(b.TenantID, b.Generation)))
		if codeOf(err) != codeRefused {
			return err
		}
		s, lookErr := a.look(ctx, name)
		switch {
		case lookErr != nil:
			return lookErr
		case !s.exists:
			return missing(b, "")
		}
		return p.foreign(b, s)
	})
}

// codeRefused is the SQLSTATE with which the hand-over's own statement refuses; "KH" is no class of Postgres's.
const codeRefused = "KH001"

// handOverSQL compares and sets in one transaction: under the lock of the name, and with a fresh look once the lock is held.
func (p *Provider) handOverSQL(name string, want Marker) string {
	return fmt.Sprintf(`DO $do$ DECLARE says text; ready boolean; BEGIN
		PERFORM pg_advisory_xact_lock(%d);
		SELECT shobj_description(oid, 'pg_database'), datallowconn INTO says, ready FROM pg_database WHERE datname = %s;
		IF says = %s THEN RETURN; END IF;
		IF says IS NULL OR NOT ready OR says NOT LIKE %s OR right(says, %d) <> %s THEN
			RAISE EXCEPTION 'not a member of the pool' USING ERRCODE = '%s';
		END IF;
		%s;
	END $do$`, lockKey(name), literal(name), literal(want.text(p.names.tag)),
		literal(`kitshub:`+string(MarkPool)+`:%`), len(p.names.tag), literal(p.names.tag), codeRefused,
		commentSQL(name, want.text(p.names.tag)))
}

// Discard removes a member that was never handed out. One that was handed out is its tenant's and refused.
func (p *Provider) Discard(ctx context.Context, member hub.Backend, c hub.Credentials) error {
	if !isMember(member.TenantID) {
		return notAMember(member)
	}
	return p.Drop(For(ctx, Refill), member, c)
}

func notAMember(b hub.Backend) error {
	return &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("%.100q at %.120q is not a member of the pool", b.TenantID, b.Place)}
}
