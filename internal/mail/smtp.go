package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/kitshub/kitshub/internal/hub"
)

// smtpTimeout bounds the connection and each of its exchanges; the job bounds the whole.
const smtpTimeout = 15 * time.Second

// smtpSender sends each mail over a connection of its own: a hub sends few, and a server that was away is back with the next one.
type smtpSender struct {
	host     string
	implicit bool // TLS from the start
	tls      *tls.Config
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	options  []gomail.Option
}

var errSMTPURL = errors.New("mail: SMTP_URL is not smtp://user:password@host:port or smtps://…") // without the value: it holds the password

func newSMTP(address string) (*smtpSender, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return nil, errSMTPURL
	}
	host := u.Hostname()
	local := isLoopback(host)
	s := &smtpSender{
		host: host, dial: (&net.Dialer{Timeout: smtpTimeout}).DialContext, options: []gomail.Option{gomail.WithTimeout(smtpTimeout)},
		tls: &tls.Config{
			ServerName: host, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: local, //nolint:gosec // the connection stays on this machine, whose mail server often has a certificate of its own making
		},
	}
	port := 587
	switch u.Scheme {
	case "smtps":
		port, s.implicit = 465, true
		s.options = append(s.options, gomail.WithSSL())
	case "smtp":
		// A server on this very machine may do without; any other must offer STARTTLS, or passwords and links would travel in the open.
		policy := gomail.TLSMandatory
		if local {
			policy = gomail.TLSOpportunistic
		}
		s.options = append(s.options, gomail.WithTLSPolicy(policy))
	default:
		return nil, errSMTPURL
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 1 || port > 65535 {
			return nil, errSMTPURL
		}
	}
	s.options = append(s.options, gomail.WithPort(port))
	if user := u.User.Username(); user != "" {
		password, _ := u.User.Password()
		auth := gomail.SMTPAuthAutoDiscover
		if local {
			auth = gomail.SMTPAuthPlainNoEnc // which of the others works in the open differs; every server knows this one
		}
		s.options = append(s.options, gomail.WithSMTPAuth(auth), gomail.WithUsername(user), gomail.WithPassword(password))
	}
	return s, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// send gives the message to the server. After a nil error the server has it. The end of ctx ends it at once: go-mail looks at ctx while it
// dials only, and a hub that stops must not wait for a server that says nothing.
func (s *smtpSender) send(ctx context.Context, _ string, _ hub.MailKind, m *gomail.Msg) error {
	ctx, cancel := context.WithCancel(ctx) // so that the AfterFunc goes with this call
	defer cancel()
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		conn, err := s.dial(dialing, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = conn.Close() })
		if s.implicit {
			return tls.Client(conn, s.tls), nil // shakes hands with the first exchange, under its deadline
		}
		return conn, nil
	}
	client, err := gomail.NewClient(s.host, append(slices.Clone(s.options), gomail.WithTLSConfig(s.tls), gomail.WithDialContextFunc(dial))...)
	if err != nil {
		return err
	}
	return client.DialAndSendWithContext(ctx, m)
}
