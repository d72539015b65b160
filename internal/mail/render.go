package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"

	"github.com/kitshub/kitshub/internal/hub"
)

//go:embed templates
var files embed.FS

// kinds are the letters there are; each has a .txt and an .html in templates. The .txt also defines the subject.
var kinds = []hub.MailKind{hub.MailWelcome, hub.MailReady, hub.MailFailed, hub.MailLink}

// text is one letter, ready to be sent.
type text struct{ subject, plain, html string }

type form struct {
	plain *texttemplate.Template
	html  *htmltemplate.Template
}

// forms are parsed once. A template that does not parse is found by any test.
var forms = func() map[hub.MailKind]form {
	m := map[hub.MailKind]form{}
	for _, k := range kinds {
		m[k] = form{
			plain: texttemplate.Must(texttemplate.ParseFS(files, "templates/layout.txt", "templates/"+string(k)+".txt")),
			html:  htmltemplate.Must(htmltemplate.ParseFS(files, "templates/layout.html", "templates/"+string(k)+".html")),
		}
	}
	return m
}()

func render(l hub.Letter) (text, error) {
	f, ok := forms[l.Kind]
	if !ok {
		return text{}, fmt.Errorf("there is no letter of kind %q", l.Kind)
	}
	l = oneLine(l)
	var subject, plain, html bytes.Buffer
	if err := f.plain.ExecuteTemplate(&subject, "subject", l); err != nil {
		return text{}, err
	}
	if err := f.plain.ExecuteTemplate(&plain, "layout", l); err != nil {
		return text{}, err
	}
	if err := f.html.ExecuteTemplate(&html, "layout", l); err != nil {
		return text{}, err
	}
	return text{subject: strings.TrimSpace(subject.String()), plain: plain.String(), html: html.String()}, nil
}

// oneLine takes line breaks and other control characters out of what people typed, so that none can begin a header or a line of its own.
func oneLine(l hub.Letter) hub.Letter {
	for _, s := range []*string{&l.To, &l.Name, &l.Company, &l.PlanName, &l.StatusURL, &l.Reason} {
		*s = strings.Join(strings.FieldsFunc(*s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }), " ")
	}
	return l
}
