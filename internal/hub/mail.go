package hub

import (
	"context"
	"errors"
	"log/slog"
)

// MailKind names a text that we send.
type MailKind string

// The mails.
const (
	MailWelcome MailKind = "welcome" // in the line: your place and your link
	MailReady   MailKind = "ready"   // you can start
	MailFailed  MailKind = "failed"  // it takes longer, we are on it
	MailLink    MailKind = "link"    // the status link, asked for again
)

// Mail is one mail to send about a request. It holds no secret: the status link is minted when it is sent.
type Mail struct {
	Kind      MailKind
	RequestID string
}

// Letter is what a mail is made from.
type Letter struct {
	Kind      MailKind
	To        string
	Name      string
	Company   string
	PlanName  string
	StatusURL string
	Position  int
	Reason    string // fit for the customer
}

// Mailer sends a letter. id is stable over retries, so that a receiver can tell a repetition.
type Mailer interface {
	Send(ctx context.Context, id string, l Letter) error
}

// SendMail writes and sends one mail. Called by a job, which tries again on error. id is the job's own.
func (s *Service) SendMail(ctx context.Context, id string, m Mail) error {
	type sent struct {
		letter Letter
		skip   bool
	}
	out, err := mutate(ctx, s, func(u *unit) (sent, error) {
		r, err := u.Request(ctx, m.RequestID)
		if err != nil {
			return sent{}, err
		}
		token, hash := s.tokens.New("kst_")
		if err := u.PutStatusToken(ctx, hash, r.ID); err != nil {
			return sent{}, err
		}
		l := Letter{
			Kind: m.Kind, To: r.Customer.Email, Name: r.Customer.ContactName, Company: r.Customer.CompanyName,
			PlanName: s.planName(r.Plan), StatusURL: s.statusURL(token),
		}
		switch {
		case m.Kind == MailWelcome && r.State != Pending:
			return sent{skip: r.State == Completed || r.State == Cancelled, letter: l}, nil // the next mail says it better
		case m.Kind == MailFailed && r.State != Failed:
			return sent{skip: true}, nil
		case m.Kind == MailFailed && r.Failure != nil:
			l.Reason = r.Failure.Customer
		}
		if r.State == Pending {
			a, err := u.Ahead(ctx, r.Key(), r.Way)
			if err != nil {
				return sent{}, err
			}
			l.Position = a.All + 1
		}
		return sent{letter: l}, nil
	})
	if IsCode(err, CodeNotFound) {
		s.log.WarnContext(ctx, "a mail for a request that is gone is dropped", "request", m.RequestID, "kind", m.Kind)
		return nil
	}
	if err != nil || out.skip {
		return err
	}
	if s.mailer == nil {
		return errors.New("no mailer is set up")
	}
	if err := s.mailer.Send(ctx, id, out.letter); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "mail sent", "kind", m.Kind, "request", m.RequestID, slog.String("id", id))
	return nil
}

// LookupStatus mails a fresh status link if the address has a request. The caller answers the same either way.
func (s *Service) LookupStatus(ctx context.Context, email string) error {
	email = NormalizeEmail(email)
	if e := checkEmail(email); e != nil {
		return asList([]*Error{e})
	}
	_, err := mutate(ctx, s, func(u *unit) (struct{}, error) {
		c, err := u.CustomerByEmail(ctx, email)
		if IsCode(err, CodeNotFound) {
			return struct{}{}, nil
		}
		if err != nil {
			return struct{}{}, err
		}
		r, found, err := u.LiveRequest(ctx, c.ID)
		if err != nil || !found {
			return struct{}{}, err
		}
		return struct{}{}, s.jobs.EnqueueMail(ctx, u, Mail{Kind: MailLink, RequestID: r.ID})
	})
	return err
}
