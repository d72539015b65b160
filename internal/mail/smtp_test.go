package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/kitshub/kitshub/internal/hub"
)

// post is a mail server in this process.
type post struct {
	got chan delivery
	// needLogin refuses mail before AUTH PLAIN with user "hub" and password "pass word".
	needLogin bool
}

type delivery struct {
	from      string
	to        []string
	raw       []byte
	encrypted bool
	user      string
}

type session struct {
	post *post
	conn *smtp.Conn
	delivery
}

func (p *post) NewSession(c *smtp.Conn) (smtp.Session, error) { return &session{post: p, conn: c}, nil }

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "hub" || password != "pass word" {
			return errors.New("wrong password")
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.post.needLogin && s.user == "" {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.raw = raw
	_, s.encrypted = s.conn.TLSConnectionState()
	s.post.got <- s.delivery
	return nil
}

func (s *session) Reset()        { s.delivery = delivery{user: s.user} }
func (s *session) Logout() error { return nil }

// serve runs the server at the address until the test ends or stop is called.
func (p *post) serve(t *testing.T, address string, tlsConfig *tls.Config, implicit bool) (at string, stop func()) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	at = ln.Addr().String()
	srv := smtp.NewServer(p)
	srv.Domain, srv.AllowInsecureAuth = "mail.example.com", true
	if implicit {
		ln = tls.NewListener(ln, tlsConfig)
	} else {
		srv.TLSConfig = tlsConfig
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	stop = func() {
		_ = srv.Close()
		_ = ln.Close() // which the server does not know yet if it was stopped at once
		<-done
	}
	t.Cleanup(stop)
	return at, stop
}

func smtpMailer(t *testing.T, url string) hub.Mailer {
	t.Helper()
	m, err := New(Options{Service: ServiceSMTP, SMTPURL: url, From: "KiTS Hub <hub@example.com>"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func selfSigned(t *testing.T, host string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}, roots
}

// Each way of reaching a server: what arrives is what was written, to one receiver, by the hub's address.
func TestSMTP(t *testing.T) {
	cert, _ := selfSigned(t, "localhost")
	for name, c := range map[string]struct {
		url       string // before the address
		tls       *tls.Config
		implicit  bool
		login     bool
		encrypted bool
	}{
		"plain on this machine": {url: "smtp://"},
		"with STARTTLS":         {url: "smtp://", tls: cert, encrypted: true},
		"with TLS":              {url: "smtps://", tls: cert, implicit: true, encrypted: true},
		"with login":            {url: "smtp://hub:pass%20word@", tls: cert, login: true, encrypted: true},
		"with login in plain":   {url: "smtp://hub:pass%20word@", login: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &post{got: make(chan delivery, 1), needLogin: c.login}
			at, _ := p.serve(t, "127.0.0.1:0", c.tls, c.implicit)
			if err := smtpMailer(t, c.url+at).Send(t.Context(), "mail_01", letter(hub.MailWelcome)); err != nil {
				t.Fatal(err)
			}
			d := <-p.got
			if d.from != "hub@example.com" || strings.Join(d.to, " ") != "ada@example.com" || d.encrypted != c.encrypted || (d.user != "") != c.login {
				t.Errorf("arrived from %s to %v, encrypted %v, user %q", d.from, d.to, d.encrypted, d.user)
			}
			got := parse(t, d.raw)
			want, err := render(letter(hub.MailWelcome))
			if err != nil {
				t.Fatal(err)
			}
			if got.header.Get("Message-Id") != "<mail_01@example.com>" || got.plain != want.plain || got.html != want.html {
				t.Errorf("arrived as\n%s", d.raw)
			}
		})
	}
}

// A server elsewhere must offer STARTTLS, with a certificate that is good for its name. ("elsewhere" here is this machine by another name.)
func TestSMTPElsewhereIsEncrypted(t *testing.T) {
	const host = "mail.example.com"
	cert, roots := selfSigned(t, host)
	send := func(at string, config *tls.Config) error {
		s, err := newSMTP("smtp://" + host)
		if err != nil {
			t.Fatal(err)
		}
		s.dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, at)
		}
		if config != nil {
			s.tls = config
		}
		m := &mailer{sender: s, from: &netmail.Address{Address: "hub@example.com"}}
		return m.Send(t.Context(), "mail_01", letter(hub.MailLink))
	}
	p := &post{got: make(chan delivery, 1)}
	plain, _ := p.serve(t, "127.0.0.1:0", nil, false)
	if err := send(plain, nil); err == nil {
		t.Error("a mail left in the open")
	}
	encrypted, _ := p.serve(t, "127.0.0.1:0", cert, false)
	if err := send(encrypted, nil); err == nil {
		t.Error("a certificate that nobody vouches for was taken")
	}
	if err := send(encrypted, &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	if d := <-p.got; !d.encrypted {
		t.Error("it came in the open")
	}
}

// While the server is down each try is an error, never a loss; the same mailer sends when it is back.
func TestSMTPDownThenUp(t *testing.T) {
	p := &post{got: make(chan delivery, 1)}
	at, stop := p.serve(t, "127.0.0.1:0", nil, false)
	m := smtpMailer(t, "smtp://"+at)
	stop()
	for range 3 {
		if err := m.Send(t.Context(), "mail_01", letter(hub.MailReady)); err == nil {
			t.Fatal("a mail went to a server that is down")
		}
	}
	p.serve(t, at, nil, false)
	if err := m.Send(t.Context(), "mail_01", letter(hub.MailReady)); err != nil {
		t.Fatal(err)
	}
	if d := <-p.got; parse(t, d.raw).header.Get("Message-Id") != "<mail_01@example.com>" {
		t.Errorf("arrived as\n%s", d.raw)
	}
}

// A server that says nothing holds a worker up only as long as its job's context lasts.
func TestSMTPSilence(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, scheme := range []string{"smtp://", "smtps://"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		begun := time.Now()
		if err := smtpMailer(t, scheme+ln.Addr().String()).Send(ctx, "mail_01", letter(hub.MailReady)); err == nil {
			t.Error("it went well")
		}
		cancel()
		if took := time.Since(begun); took > smtpTimeout/2 {
			t.Errorf("%s ended after %s", scheme, took)
		}
	}
}
