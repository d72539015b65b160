package webui_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// visitor is a browser without JavaScript.
type visitor struct {
	t      testing.TB
	base   string
	client *http.Client
}

func (r *rig) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	ok(r.t, err)
	c := &http.Client{Jar: jar, Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r.t.Cleanup(c.CloseIdleConnections)
	return &visitor{t: r.t, base: r.URL, client: c}
}

// operator is a visitor who is logged in.
func (r *rig) operator(email string) *visitor {
	r.t.Helper()
	v := r.visitor()
	v.post("/console/login", "email", email, "password", password).want(http.StatusSeeOther)
	return v
}

type page struct {
	t      testing.TB
	Status int
	Header http.Header
	Body   string
}

func (v *visitor) do(req *http.Request) page {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(req.Context(), patience)
	defer cancel()
	req.Header.Set("Accept", "text/html,*/*")
	res, err := v.client.Do(req.WithContext(ctx))
	ok(v.t, err)
	defer func() { ok(v.t, res.Body.Close()) }()
	b, err := io.ReadAll(res.Body)
	ok(v.t, err)
	return page{v.t, res.StatusCode, res.Header, string(b)}
}

func (v *visitor) get(path string) page {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, v.base+path, nil)
	ok(v.t, err)
	return v.do(req)
}

// post sends a form of names and values as a browser of today does; an Origin header comes from no other name than "Origin".
func (v *visitor) post(path string, pairs ...string) page {
	v.t.Helper()
	form, site := url.Values{}, "same-origin"
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "Sec-Fetch-Site" {
			site = pairs[i+1]
			continue
		}
		form.Add(pairs[i], pairs[i+1])
	}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.base+path, strings.NewReader(form.Encode()))
	ok(v.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", site)
	return v.do(req)
}

func (p page) want(status int) page {
	p.t.Helper()
	if p.Status != status {
		p.t.Fatalf("got %d, want %d: %s", p.Status, status, text(p.Body))
	}
	return p
}

// to gives where a redirect leads.
func (p page) to() string {
	p.t.Helper()
	p.want(http.StatusSeeOther)
	return p.Header.Get("Location")
}

// has fails unless the page shows each of these, tags aside.
func (p page) has(parts ...string) page {
	p.t.Helper()
	shown := text(p.Body)
	for _, s := range parts {
		if !strings.Contains(shown, s) {
			p.t.Errorf("the page lacks %q: %s", s, shown)
		}
	}
	return p
}

// hasNot fails if the source has one of these.
func (p page) hasNot(parts ...string) page {
	p.t.Helper()
	for _, s := range parts {
		if strings.Contains(p.Body, s) {
			p.t.Errorf("the page has %q", s)
		}
	}
	return p
}

// holds fails unless the source has each of these.
func (p page) holds(parts ...string) page {
	p.t.Helper()
	for _, s := range parts {
		if !strings.Contains(p.Body, s) {
			p.t.Errorf("the source lacks %q in %s", s, p.Body)
		}
	}
	return p
}

var tags = regexp.MustCompile(`(?s)<(?:head>.*?</head>|[^>]*>)`)

func text(html string) string {
	s := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#39;", "'", "&#34;", `"`, "&amp;", "&").Replace(tags.ReplaceAllString(html, " "))
	return strings.Join(strings.Fields(s), " ")
}

// fragments follows a page's events; next gives the next fragment, and last with it or when the stream ended.
func (v *visitor) fragments(path string) (next func() (html string, last bool)) {
	v.t.Helper()
	events := v.events(path)
	return func() (string, bool) {
		v.t.Helper()
		f := events()
		return f.HTML, f.Last
	}
}

// event is what the page's script gets.
type event struct {
	HTML, Why string
	Last      bool
}

// events is fragments with all they say.
func (v *visitor) events(path string) (next func() event) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), patience)
	v.t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	ok(v.t, err)
	res, err := v.client.Do(req)
	ok(v.t, err)
	v.t.Cleanup(func() { _ = res.Body.Close() })
	if ct := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || ct != "text/event-stream" {
		v.t.Fatalf("the events answer %d %s", res.StatusCode, ct)
	}
	lines := bufio.NewReader(res.Body)
	return func() event {
		v.t.Helper()
		for {
			line, err := lines.ReadString('\n')
			if errors.Is(err, io.EOF) {
				return event{Last: true}
			}
			ok(v.t, err)
			data, isData := strings.CutPrefix(line, "data: ")
			if !isData {
				continue
			}
			var f event
			ok(v.t, json.Unmarshal([]byte(data), &f))
			return f
		}
	}
}
