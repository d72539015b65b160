package mail

import (
	"context"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/kitshub/kitshub/internal/hub"
)

// The values of Options.Service.
const (
	ServiceFile = "file"
	ServiceSMTP = "smtp"
)

// Options choose the sender.
type Options struct {
	Service string // ServiceFile or ServiceSMTP
	Dir     string // of ServiceFile; made when the first mail is written
	SMTPURL string // of ServiceSMTP: smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465
	From    string // "Name <address>" or an address
	Log     *slog.Logger
}

// sender brings a message on its way.
type sender interface {
	send(ctx context.Context, id string, kind hub.MailKind, m *gomail.Msg) error
}

type mailer struct {
	from   *netmail.Address
	sender sender
}

// New makes the mailer. It opens no connection; whether the server can be reached shows with the first mail. Errors never show the URL,
// which holds the password.
func New(o Options) (hub.Mailer, error) {
	from, err := netmail.ParseAddress(o.From)
	if err != nil || hasControl(from.Name+from.Address) {
		return nil, fmt.Errorf("mail: the sender %q is not a mail address", o.From)
	}
	m := &mailer{from: from}
	switch o.Service {
	case ServiceFile:
		if o.Dir == "" {
			return nil, fmt.Errorf("mail: a directory is needed")
		}
		m.sender = &fileSender{dir: o.Dir, log: o.Log, now: time.Now}
	case ServiceSMTP:
		if m.sender, err = newSMTP(o.SMTPURL); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("mail: unknown service %q", o.Service)
	}
	return m, nil
}

// Send implements hub.Mailer.
func (m *mailer) Send(ctx context.Context, id string, l hub.Letter) error {
	msg, err := m.compose(id, l)
	if err != nil {
		return fmt.Errorf("writing the %s mail: %w", l.Kind, err)
	}
	if err := m.sender.send(ctx, id, l.Kind, msg); err != nil {
		return fmt.Errorf("sending the %s mail: %w", l.Kind, err)
	}
	return nil
}

func (m *mailer) compose(id string, l hub.Letter) (*gomail.Msg, error) {
	t, err := render(l)
	if err != nil {
		return nil, err
	}
	if !isID(id) {
		return nil, fmt.Errorf("the id %q cannot be a Message-ID", id)
	}
	// Parsed again here, since it becomes an envelope address: exactly one, without a name of its own.
	to, err := netmail.ParseAddress(l.To)
	if err != nil || to.Address != l.To || hasControl(l.To) {
		return nil, fmt.Errorf("the receiver is not a mail address")
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(&netmail.Address{Name: oneLine(l).Name, Address: to.Address})
	msg.Subject(t.subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(id + "@" + domain(m.from.Address))
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // no out-of-office answers, please
	msg.SetBodyString(gomail.TypeTextPlain, t.plain)
	msg.AddAlternativeString(gomail.TypeTextHTML, t.html)
	return msg, nil
}

func domain(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// isID: what the hub makes; as a file name and as a header it needs no escaping.
func isID(id string) bool {
	return id != "" && len(id) <= 100 && !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	})
}
