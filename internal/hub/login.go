package hub

import (
	"context"
	"slices"
	"strings"
)

// NewOperator is who shall work the line.
type NewOperator struct {
	Email    string
	Name     string
	Rank     Rank
	Password string
}

// CreateOperator adds an operator.
//
// Errors: every wrong field at once (CodeWeakPassword among them), CodeOperatorExists, CodeForbidden.
func (s *Service) CreateOperator(ctx context.Context, a Actor, in NewOperator) (*Operator, error) {
	if err := mayAdminister(a); err != nil {
		return nil, err
	}
	hash, err := s.checkOperator(ctx, &in)
	if err != nil {
		return nil, err
	}
	return mutate(ctx, s, func(u *unit) (*Operator, error) { return u.addOperator(ctx, a, in, hash) })
}

func (s *Service) checkOperator(ctx context.Context, in *NewOperator) (hash string, err error) {
	in.Email, in.Name = NormalizeEmail(in.Email), strings.TrimSpace(in.Name)
	var wrong []*Error
	for _, e := range []*Error{checkEmail(in.Email), checkRequired("name", in.Name)} {
		if e != nil {
			wrong = append(wrong, e)
		}
	}
	if !slices.Contains(Ranks, in.Rank) {
		wrong = append(wrong, FieldError(CodeInvalidField, "role", "role is none of admin, provisioner, support.", "Use one of them."))
	}
	if in.Password == "" {
		wrong = append(wrong, FieldError(CodeMissingField, "password", "password is needed.", "Fill in password."))
	} else if e := s.passwords.Check(in.Password, in.Email, in.Name); e != nil {
		if len(wrong) == 0 {
			return "", e
		}
		wrong = append(wrong, e.Fields...)
	}
	if err := asList(wrong); err != nil {
		return "", err
	}
	return s.passwords.Hash(ctx, in.Password)
}

func (u *unit) addOperator(ctx context.Context, a Actor, in NewOperator, hash string) (*Operator, error) {
	o := &Operator{ID: NewID("opr_", u.Now()), Email: in.Email, Name: in.Name, Rank: in.Rank, PasswordHash: hash, CreatedAt: u.Now()}
	if err := u.InsertOperator(ctx, o); err != nil {
		return nil, err
	}
	if err := u.DeleteSetupTokens(ctx); err != nil { // the first operator ends the one-time link
		return nil, err
	}
	return o, u.audit(ctx, a, "operator.create", o.ID, map[string]any{"email": o.Email, "role": string(o.Rank)})
}

// SetupLink gives a fresh one-time link that makes the first admin, or "" when there is an operator already.
func (s *Service) SetupLink(ctx context.Context) (string, error) {
	return mutate(ctx, s, func(u *unit) (string, error) {
		n, err := u.CountOperators(ctx)
		if err != nil || n > 0 {
			return "", err
		}
		token, hash := s.tokens.New("kup_")
		if err := u.PutSetupToken(ctx, hash, u.Now().Add(setupLinkLife)); err != nil {
			return "", err
		}
		return s.publicURL + "/setup/" + token, nil
	})
}

// SetupValid reports whether a setup link may still be used.
func (s *Service) SetupValid(ctx context.Context, token string) (bool, error) {
	return view(ctx, s, func(tx Tx) (bool, error) { return s.setupValid(ctx, tx, token) })
}

func (s *Service) setupValid(ctx context.Context, tx Tx, token string) (bool, error) {
	n, err := tx.CountOperators(ctx)
	if err != nil || n > 0 {
		return false, err
	}
	return tx.SetupTokenValid(ctx, s.tokens.Hash(token), tx.Now())
}

// SetUp makes the first admin with a setup link.
func (s *Service) SetUp(ctx context.Context, token string, in NewOperator) (*Operator, error) {
	gone := E(CodeNotFound, "This setup link is not valid (any more).", "Restart the hub for a fresh one, or use kitshub operators create.")
	if ok, err := s.SetupValid(ctx, token); err != nil || !ok {
		if err == nil {
			err = gone
		}
		return nil, err
	}
	in.Rank = Admin
	hash, err := s.checkOperator(ctx, &in)
	if err != nil {
		return nil, err
	}
	return mutate(ctx, s, func(u *unit) (*Operator, error) {
		ok, err := s.setupValid(ctx, u, token)
		if err == nil && ok { // of two at once the row lets one through
			ok, err = u.TakeSetupToken(ctx, s.tokens.Hash(token), u.Now())
		}
		if err != nil || !ok { // somebody else was faster
			if err == nil {
				err = gone
			}
			return nil, err
		}
		return u.addOperator(ctx, Actor{Kind: ByPerson, ID: "setup", Name: "setup link", Rank: Admin}, in, hash)
	})
}

// Login gives a session token. Unknown, disabled and wrong take the same time and answer the same.
func (s *Service) Login(ctx context.Context, email, password string) (*Operator, string, error) {
	wrong := E(CodeUnauthenticated, "Email or password is wrong.", "Try again; an admin can set a new password.")
	o, err := view(ctx, s, func(tx Tx) (*Operator, error) { return tx.OperatorByEmail(ctx, NormalizeEmail(email)) })
	if IsCode(err, CodeNotFound) || (err == nil && o.DisabledAt != nil) {
		if err := s.passwords.Burn(ctx, password); err != nil {
			return nil, "", err
		}
		return nil, "", wrong
	}
	if err != nil {
		return nil, "", err
	}
	ok, rehash, err := s.passwords.Verify(ctx, password, o.PasswordHash)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", wrong
	}
	var fresh string
	if rehash {
		if fresh, err = s.passwords.Hash(ctx, password); err != nil {
			return nil, "", err
		}
	}
	token, err := mutate(ctx, s, func(u *unit) (string, error) {
		if fresh != "" {
			if err := u.SetPasswordHash(ctx, o.ID, fresh); err != nil {
				return "", err
			}
		}
		token, hash := s.tokens.New("kss_")
		if err := u.InsertSession(ctx, &Session{TokenHash: hash, OperatorID: o.ID, CreatedAt: u.Now(), SeenAt: u.Now()}); err != nil {
			return "", err
		}
		return token, u.audit(ctx, o.actor(), "operator.login", o.ID, nil)
	})
	return o, token, err
}

func (o *Operator) actor() Actor { return Actor{Kind: ByPerson, ID: o.ID, Name: o.Name, Rank: o.Rank} }

// Logout ends the session everywhere at once.
func (s *Service) Logout(ctx context.Context, a Actor, token string) error {
	_, err := mutate(ctx, s, func(u *unit) (struct{}, error) {
		if err := u.DeleteSession(ctx, s.tokens.Hash(token)); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, u.audit(ctx, a, "operator.logout", a.ID, nil)
	})
	return err
}

// SessionActor gives who a session token belongs to.
//
// Errors: CodeUnauthenticated for an unknown, idle or too old session.
func (s *Service) SessionActor(ctx context.Context, token string) (Actor, error) {
	type found struct {
		o     *Operator
		touch bool
	}
	out := E(CodeUnauthenticated, "You are not logged in.", "Log in at /console or POST /api/v1/auth/login.")
	if token == "" {
		return Actor{}, out
	}
	hash := s.tokens.Hash(token)
	f, err := view(ctx, s, func(tx Tx) (found, error) {
		ses, err := tx.Session(ctx, hash)
		if err != nil {
			return found{}, err
		}
		now := tx.Now()
		if now.Sub(ses.SeenAt) > SessionIdle || now.Sub(ses.CreatedAt) > SessionAbsolute {
			return found{}, out
		}
		o, err := tx.Operator(ctx, ses.OperatorID)
		if err == nil && o.DisabledAt != nil {
			err = out
		}
		return found{o, now.Sub(ses.SeenAt) > sessionTouch}, err
	})
	if IsCode(err, CodeNotFound) {
		return Actor{}, out
	}
	if err != nil {
		return Actor{}, err
	}
	if f.touch {
		// Looking must go on when nothing can be written (a full disk); the session then ends a little early.
		if err := s.store.Write(ctx, func(tx Tx) error { return tx.TouchSession(ctx, hash, tx.Now()) }); err != nil {
			s.log.WarnContext(ctx, "the use of a session could not be noted", "operator", f.o.ID, "error", err)
		}
	}
	return f.o.actor(), nil
}

// TokenActor gives who an API token belongs to.
func (s *Service) TokenActor(ctx context.Context, token string) (Actor, error) {
	t, err := view(ctx, s, func(tx Tx) (*APIToken, error) { return tx.APITokenByHash(ctx, s.tokens.Hash(token)) })
	if IsCode(err, CodeNotFound) || (err == nil && t.RevokedAt != nil) {
		return Actor{}, E(CodeUnauthenticated, "This API token is not valid.", "Make one with kitshub tokens create.")
	}
	if err != nil {
		return Actor{}, err
	}
	return Actor{Kind: ByToken, ID: t.ID, Name: t.Name, Rank: t.Rank}, nil
}

// MintedToken is an API token with its secret, which is shown once.
type MintedToken struct {
	*APIToken
	Token string
}

// CreateAPIToken makes a token for programs; it is shown once. Its transaction gives a MintedToken.
func (s *Service) CreateAPIToken(ctx context.Context, a Actor, name string, rank Rank) (*APIToken, string, error) {
	if err := mayAdminister(a); err != nil {
		return nil, "", err
	}
	var wrong []*Error
	if e := checkRequired("name", strings.TrimSpace(name)); e != nil {
		wrong = append(wrong, e)
	}
	if !slices.Contains(Ranks, rank) {
		wrong = append(wrong, FieldError(CodeInvalidField, "role", "role is none of admin, provisioner, support.", "Use one of them."))
	}
	if err := asList(wrong); err != nil {
		return nil, "", err
	}
	token, hash := s.tokens.New("kat_")
	m, err := mutate(ctx, s, func(u *unit) (MintedToken, error) {
		t := &APIToken{ID: NewID("tok_", u.Now()), Name: strings.TrimSpace(name), Rank: rank, Hash: hash, CreatedAt: u.Now(), CreatedBy: a.ID}
		if err := u.InsertAPIToken(ctx, t); err != nil {
			return MintedToken{}, err
		}
		return MintedToken{t, token}, u.audit(ctx, a, "token.create", t.ID, map[string]any{"name": t.Name, "role": string(rank)})
	})
	return m.APIToken, m.Token, err
}

// Me gives the operator behind an actor.
func (s *Service) Me(ctx context.Context, a Actor) (*Operator, error) {
	if a.Kind != ByPerson {
		return &Operator{ID: a.ID, Name: a.Name, Rank: a.Rank}, nil
	}
	return view(ctx, s, func(tx Tx) (*Operator, error) { return tx.Operator(ctx, a.ID) })
}

// Operators lists who works the line.
func (s *Service) Operators(ctx context.Context) ([]*Operator, error) {
	return view(ctx, s, func(tx Tx) ([]*Operator, error) { return tx.ListOperators(ctx) })
}
