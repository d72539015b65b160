package mail

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/testkit"
)

//go:generate go test -run TestGoldens -update

var update = flag.Bool("update", false, "write the goldens anew")

func TestMain(m *testing.M) { testkit.Main(m) }

func letter(k hub.MailKind) hub.Letter {
	l := hub.Letter{
		Kind: k, To: "ada@example.com", Name: "Ada O'Neil", Company: "Grün & <b>Söhne</b> GmbH", PlanName: "Professional",
		StatusURL: "https://hub.example.com/status/kst_abc",
	}
	switch k {
	case hub.MailWelcome:
		l.Position = 3
	case hub.MailFailed:
		l.Reason = "We ran out of room while setting up your database. We are making some."
	}
	return l
}

// What customers read is looked at when it changes.
func TestGoldens(t *testing.T) {
	bare := hub.Letter{Kind: hub.MailWelcome, To: "a@example.com", StatusURL: "https://hub.example.com/status/kst_abc"}
	letters := map[string]hub.Letter{"welcome-bare": bare}
	for _, k := range kinds {
		letters[string(k)] = letter(k)
	}
	for name, l := range letters {
		text, err := render(l)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{".txt": "Subject: " + text.subject + "\n\n" + text.plain, ".html": text.html}
		for ext, content := range got {
			path := filepath.Join("testdata", name+ext)
			if *update {
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
				continue
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if content != string(want) {
				t.Errorf("%s differs from its golden; it is now\n%s", path, content)
			}
		}
	}
}

// read takes a message apart as a mail program does.
type read struct {
	header      netmail.Header
	plain, html string
}

func parse(t *testing.T, raw []byte) read {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := read{header: m.Header}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return r
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\r\n", "\n")
		if strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") {
			r.html = text
		} else {
			r.plain = text
		}
	}
}

func fileMailer(t *testing.T, log io.Writer) (hub.Mailer, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mail")
	m, err := New(Options{Service: ServiceFile, Dir: dir, From: "KiTS Hub <hub@example.com>", Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return m, dir
}

func only(t *testing.T, dir string) (path string, content []byte) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 1 {
		t.Fatalf("%d files: %v", len(found), err)
	}
	path = filepath.Join(dir, found[0].Name())
	content, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestFileSender(t *testing.T) {
	var log bytes.Buffer
	m, dir := fileMailer(t, &log)
	if err := m.Send(t.Context(), "mail_01", letter(hub.MailReady)); err != nil {
		t.Fatal(err)
	}
	path, raw := only(t, dir)
	name := strings.Split(filepath.Base(path), "-")
	if at, err := time.Parse("20060102T150405.000Z", name[0]); err != nil || time.Since(at) > time.Hour || name[1] != "ready" || name[2] != "mail_01.eml" {
		t.Errorf("the file is called %s", path)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v: %v", info.Mode(), err)
	}
	if !strings.Contains(log.String(), path) {
		t.Errorf("the log does not name the file: %s", log.String())
	}
	got := parse(t, raw)
	want, err := render(letter(hub.MailReady))
	if err != nil {
		t.Fatal(err)
	}
	if got.plain != want.plain || got.html != want.html {
		t.Errorf("the mail reads\n%s\n%s", got.plain, got.html)
	}
	for k, v := range map[string]string{"Message-Id": "<mail_01@example.com>", "From": `"KiTS Hub" <hub@example.com>`, "Subject": want.subject, "Auto-Submitted": "auto-generated"} {
		if got.header.Get(k) != v {
			t.Errorf("%s: %q, want %q", k, got.header.Get(k), v)
		}
	}
	if to, err := got.header.AddressList("To"); err != nil || len(to) != 1 || to[0].Name != "Ada O'Neil" || to[0].Address != "ada@example.com" {
		t.Errorf("To: %v, %v", to, err)
	}
	if _, err := got.header.Date(); err != nil {
		t.Error(err)
	}
}

// A file that cannot be written leaves nothing behind and is an error, so that the job tries again.
func TestFileSenderWithoutItsDirectory(t *testing.T) {
	m, dir := fileMailer(t, io.Discard)
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), "mail_01", letter(hub.MailReady)); err == nil {
		t.Error("it went well")
	}
}

// Whatever a customer types, the mail goes to one receiver and has the headers that we gave it.
func TestNoHeaderCanBeInjected(t *testing.T) {
	evil := "x\r\nBcc: all@example.com\r\n\r\nBuy\u2028now"
	for _, k := range kinds {
		m, dir := fileMailer(t, io.Discard)
		l := letter(k)
		l.Name, l.Company, l.PlanName, l.Reason = evil, evil, evil, evil
		if err := m.Send(t.Context(), "mail_01", l); err != nil {
			t.Fatal(err)
		}
		_, raw := only(t, dir)
		got := parse(t, raw)
		if len(got.header["Bcc"]) > 0 || len(got.header) > 9 {
			t.Errorf("%s has the headers %v", k, got.header)
		}
		to, err := got.header.AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != "ada@example.com" {
			t.Errorf("%s goes to %v: %v", k, to, err)
		}
	}
	for _, to := range []string{"a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", "Name <a@example.com>", "", "nobody"} {
		m, _ := fileMailer(t, io.Discard)
		l := letter(hub.MailLink)
		l.To = to
		if err := m.Send(t.Context(), "mail_01", l); err == nil {
			t.Errorf("a mail to %q was sent", to)
		}
	}
	for _, id := range []string{"", "a b", "../x", "a>\r\nBcc: b"} {
		m, _ := fileMailer(t, io.Discard)
		if err := m.Send(t.Context(), id, letter(hub.MailLink)); err == nil {
			t.Errorf("a mail with the id %q was sent", id)
		}
	}
}

// What a customer typed is text in the HTML, never a tag.
func TestHTMLIsEscaped(t *testing.T) {
	for _, k := range kinds {
		text, err := render(letter(k))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(text.html, "<b>Söhne") || !strings.Contains(text.html, "&lt;b&gt;Söhne") {
			t.Errorf("%s:\n%s", k, text.html)
		}
	}
}

func TestNewRefusesAndKeepsThePassword(t *testing.T) {
	good := Options{Service: ServiceSMTP, SMTPURL: "smtp://u:canary@mail.example.com", From: "hub@example.com"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Options){
		"service": func(o *Options) { o.Service = "pigeon" },
		"from":    func(o *Options) { o.From = "nobody" },
		"scheme":  func(o *Options) { o.SMTPURL = "http://u:canary@mail.example.com" },
		"syntax":  func(o *Options) { o.SMTPURL = "smtp://u:canary%zz@mail.example.com" },
		"port":    func(o *Options) { o.SMTPURL = "smtp://u:canary@mail.example.com:99999" },
		"host":    func(o *Options) { o.SMTPURL = "smtp://u:canary@" },
		"dir":     func(o *Options) { o.Service = ServiceFile },
	} {
		o := good
		spoil(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("a bad %s: %v", name, err)
		}
	}
	if err := (&mailer{}).Send(context.Background(), "mail_1", hub.Letter{Kind: "poem"}); err == nil {
		t.Error("an unknown letter was sent")
	}
}
