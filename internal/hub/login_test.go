package hub_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/hub/hubtest"
)

const password = "correct horse battery staple"

func newOperator(email string) hub.NewOperator {
	return hub.NewOperator{Email: email, Name: "Olga", Rank: hub.Provisioner, Password: password}
}

// TestLogin: unknown, disabled and wrong answer the same; a login gives a token of which only the hash is kept.
func TestLogin(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		o, err := r.CreateOperator(t.Context(), hub.CLIActor(), newOperator(" Olga@Hub.example "))
		fine(t, err)
		equal(t, "email", o.Email, "olga@hub.example")
		off := *o
		off.ID, off.Email, off.DisabledAt = "opr_off", "off@hub.example", ref(testNow())
		r.Put(func(ctx context.Context, tx hub.Tx) error { return tx.InsertOperator(ctx, &off) })
		var said []string
		for _, c := range [][2]string{
			{"olga@hub.example", "wrong"},
			{"olga@hub.example", ""},
			{"nobody@hub.example", password},
			{"off@hub.example", password},
			{"", ""},
			{"a\x00b", password},
			{"\xff", "x"},
			{"olga@hub.example", password + "\x00"},
			{"olga@hub.example", strings.ToUpper(password)},
		} {
			_, token, err := r.Login(t.Context(), c[0], c[1])
			wantCode(t, err, hub.CodeUnauthenticated)
			equal(t, "token", token, "")
			said = append(said, err.Error())
		}
		for _, s := range said {
			equal(t, "what is said", s, said[0])
		}
		got, token, err := r.Login(t.Context(), "OLGA@hub.example ", password)
		fine(t, err)
		equal(t, "operator", got.ID, o.ID)
		a, err := r.SessionActor(t.Context(), token)
		fine(t, err)
		equal(t, "actor", a, hub.Actor{Kind: hub.ByPerson, ID: o.ID, Name: "Olga", Rank: hub.Provisioner})
		me, err := r.Me(t.Context(), a)
		fine(t, err)
		equal(t, "me", me, o)
		fine(t, r.Logout(t.Context(), a, token))
		for _, gone := range []string{token, "", "kss_none", "\x00"} {
			_, err := r.SessionActor(t.Context(), gone)
			wantCode(t, err, hub.CodeUnauthenticated)
		}
		equal(t, "audit log", r.Log(o.ID), []string{"operator.create", "operator.login", "operator.logout"})
	})
}

// TestSessionsEnd: after half an hour without use, and after twelve hours anyway. The clock is the database's, so old rows are written.
func TestSessionsEnd(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		a := r.Operator("olga", hub.Provisioner)
		session := func(token string, created, seen time.Duration) *hub.Session {
			s := &hub.Session{TokenHash: r.Deps.Tokens.Hash(token), OperatorID: a.ID}
			r.Put(func(ctx context.Context, tx hub.Tx) error {
				s.CreatedAt, s.SeenAt = tx.Now().Add(-created), tx.Now().Add(-seen)
				return tx.InsertSession(ctx, s)
			})
			return s
		}
		for name, c := range map[string]struct {
			created, seen time.Duration
			good          bool
		}{
			"fresh":          {0, 0, true},
			"nearly idle":    {time.Hour, hub.SessionIdle - time.Minute, true},
			"idle":           {time.Hour, hub.SessionIdle + time.Second, false},
			"nearly too old": {hub.SessionAbsolute - time.Minute, time.Second, true},
			"too old":        {hub.SessionAbsolute + time.Second, time.Second, false},
		} {
			s := session(name, c.created, c.seen)
			_, err := r.SessionActor(t.Context(), name)
			if !c.good {
				wantCode(t, err, hub.CodeUnauthenticated)
				continue
			}
			fine(t, err)
			now := hubtest.Get(r, func(ctx context.Context, tx hub.Tx) (*hub.Session, error) { return tx.Session(ctx, s.TokenHash) })
			if touched := now.SeenAt.After(s.SeenAt); touched != (c.seen > time.Minute) {
				t.Errorf("%s: noted its use: %v", name, touched)
			}
		}
		fine(t, r.Sweep(t.Context()))
		r.Put(func(ctx context.Context, tx hub.Tx) error {
			for name, want := range map[string]bool{"fresh": true, "idle": false, "too old": false} {
				_, err := tx.Session(ctx, r.Deps.Tokens.Hash(name))
				equal(t, name+" is kept", err == nil, want)
			}
			return nil
		})
		// A full disk refuses the note of its use, not the reading.
		session("reader", time.Hour, 10*time.Minute)
		r.Store.DieAt(1, false)
		_, err := r.SessionActor(t.Context(), "reader")
		fine(t, err)
		equal(t, "tried to note it", r.Store.Died(), true)
		r.Store.Revive()

		off := *hubtest.Get(r, func(ctx context.Context, tx hub.Tx) (*hub.Operator, error) { return tx.Operator(ctx, a.ID) })
		off.ID, off.Email, off.DisabledAt = "opr_off", "off@hub.example", ref(testNow())
		r.Put(func(ctx context.Context, tx hub.Tx) error {
			if err := tx.InsertOperator(ctx, &off); err != nil {
				return err
			}
			return tx.InsertSession(ctx, &hub.Session{TokenHash: r.Deps.Tokens.Hash("off"), OperatorID: off.ID, CreatedAt: tx.Now(), SeenAt: tx.Now()})
		})
		_, err = r.SessionActor(t.Context(), "off")
		wantCode(t, err, hub.CodeUnauthenticated)
	})
}

// TestSetupLinkOnce: of many who use the link at once one becomes the first admin; from then on there is no link.
func TestSetupLinkOnce(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		link, err := r.SetupLink(t.Context())
		fine(t, err)
		token, ok := strings.CutPrefix(link, "https://hub.example/setup/")
		if !ok {
			t.Fatalf("the link is %q", link)
		}
		old, err := r.SetupLink(t.Context()) // another start
		fine(t, err)
		for name, want := range map[string]bool{token: true, "kup_none": false, "": false, "\x00": false} {
			valid, err := r.SetupValid(t.Context(), name)
			fine(t, err)
			equal(t, "valid", valid, want)
		}
		_, err = r.SetUp(t.Context(), token, hub.NewOperator{Email: "x", Password: "short"})
		equal(t, "wrong fields", fieldsOf(t, err)[:2], []string{"email INVALID_EMAIL_FORMAT", "name MISSING_FIELD"})
		if r.Real.Engine() == "postgres" { // SQLite lets in one writer at a time anyway; here two shall be past the look before either writes
			two := make(chan struct{})
			var seen atomic.Int32
			r.Store.OnSetupValid(func() {
				switch seen.Add(1) {
				case 1:
					select {
					case <-two:
					case <-time.After(time.Minute):
						t.Error("nobody else comes past the look")
					}
				case 2:
					close(two)
				}
			})
		}
		won := 0
		emails := []string{"a@hub.example", "b@hub.example", "c@hub.example", "d@hub.example"}
		for i, err := range atOnce(len(emails), func(i int) error {
			in := newOperator(emails[i])
			in.Rank = hub.Support // whatever the form says
			_, err := r.SetUp(t.Context(), token, in)
			return err
		}) {
			if err == nil {
				won++
				continue
			}
			if !hub.IsCode(err, hub.CodeNotFound) {
				t.Errorf("%s: %v", emails[i], err)
			}
		}
		equal(t, "admins made", won, 1)
		all, err := r.Operators(t.Context())
		fine(t, err)
		equal(t, "operators", len(all), 1)
		equal(t, "rank", all[0].Rank, hub.Admin)
		_, err = r.SetUp(t.Context(), strings.TrimPrefix(old, "https://hub.example/setup/"), newOperator("e@hub.example"))
		wantCode(t, err, hub.CodeNotFound)
		link, err = r.SetupLink(t.Context())
		fine(t, err)
		equal(t, "link when there is an operator", link, "")
	})
}

// TestSetupLinkExpires after half an hour.
func TestSetupLinkExpires(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		r.Put(func(ctx context.Context, tx hub.Tx) error {
			return tx.PutSetupToken(ctx, r.Deps.Tokens.Hash("kup_old"), tx.Now().Add(-time.Microsecond))
		})
		_, err := r.SetUp(t.Context(), "kup_old", newOperator("a@hub.example"))
		wantCode(t, err, hub.CodeNotFound)
	})
}

func TestCreateOperator(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		ctx := t.Context()
		_, err := r.CreateOperator(ctx, r.Operator("p", hub.Provisioner), newOperator("a@hub.example"))
		wantCode(t, err, hub.CodeForbidden)
		_, err = r.CreateOperator(ctx, hub.CLIActor(), hub.NewOperator{Email: "a", Rank: "boss"})
		equal(t, "wrong fields", fieldsOf(t, err), []string{"email INVALID_EMAIL_FORMAT", "name MISSING_FIELD", "role INVALID_FIELD", "password MISSING_FIELD"})
		weak := newOperator("a@hub.example")
		weak.Password = "short"
		_, err = r.CreateOperator(ctx, hub.CLIActor(), weak)
		wantCode(t, err, hub.CodeWeakPassword)
		_, err = r.CreateOperator(ctx, hub.CLIActor(), newOperator("a@hub.example"))
		fine(t, err)
		_, err = r.CreateOperator(ctx, hub.CLIActor(), newOperator("A@hub.example"))
		wantCode(t, err, hub.CodeOperatorExists)
	})
}

func TestAPITokens(t *testing.T) {
	hubtest.OnBoth(t, func(t *testing.T, r *hubtest.Rig) {
		ctx := t.Context()
		_, _, err := r.CreateAPIToken(ctx, r.Operator("p", hub.Provisioner), "x", hub.Support)
		wantCode(t, err, hub.CodeForbidden)
		_, _, err = r.CreateAPIToken(ctx, hub.CLIActor(), " ", "boss")
		equal(t, "wrong fields", fieldsOf(t, err), []string{"name MISSING_FIELD", "role INVALID_FIELD"})
		made, token, err := r.CreateAPIToken(ctx, hub.CLIActor(), " ci ", hub.Provisioner)
		fine(t, err)
		a, err := r.TokenActor(ctx, token)
		fine(t, err)
		equal(t, "actor", a, hub.Actor{Kind: hub.ByToken, ID: made.ID, Name: "ci", Rank: hub.Provisioner})
		revoked := &hub.APIToken{ID: "tok_r", Name: "r", Rank: hub.Admin, Hash: r.Deps.Tokens.Hash("kat_r"), CreatedAt: testNow(), CreatedBy: "cli", RevokedAt: ref(testNow())}
		r.Put(func(ctx context.Context, tx hub.Tx) error { return tx.InsertAPIToken(ctx, revoked) })
		for _, bad := range []string{"kat_r", "kat_none", "", "\x00"} {
			_, err := r.TokenActor(ctx, bad)
			wantCode(t, err, hub.CodeUnauthenticated)
		}
		equal(t, "audit log", r.Log(made.ID), []string{"token.create"})
	})
}
