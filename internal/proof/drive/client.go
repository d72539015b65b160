package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"time"
)

// Client calls one hub. It is safe for concurrent use; a logged-in one keeps its session.
type Client struct {
	Base string
	http *http.Client
}

// NewClient makes a client for the hub at base, without a login.
func NewClient(base string, conns int) *Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // only a list of public suffixes could make it fail
	}
	return &Client{Base: base, http: &http.Client{
		Jar:       jar,
		Transport: &http.Transport{MaxIdleConnsPerHost: conns, MaxConnsPerHost: 0, IdleConnTimeout: time.Minute},
	}}
}

// Close ends the idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Answer is what the hub said.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Problem is a refusal, as the contract's problem document.
type Problem struct {
	Status int            `json:"status"`
	Code   string         `json:"code"`
	Detail string         `json:"detail"`
	Errors []FieldProblem `json:"errors"`
}

// FieldProblem is one wrong field.
type FieldProblem struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
}

func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

// CodeOf gives the code of a refusal, or "".
func CodeOf(err error) string {
	var p *Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// Header is one header of a call.
type Header struct{ Name, Value string }

// Bearer is the header of a token.
func Bearer(token string) Header { return Header{"Authorization", "Bearer " + token} }

// Do sends body as JSON (nil: none) and reads the whole answer. An error means that no answer came.
func (c *Client) Do(ctx context.Context, method, path string, body any, headers ...Header) (*Answer, error) {
	var raw []byte
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	return c.Raw(ctx, method, path, raw, headers...)
}

// Raw is Do with a body that is sent as it is, well formed or not.
func (c *Client) Raw(ctx context.Context, method, path string, body []byte, headers ...Header) (*Answer, error) {
	res, err := c.send(ctx, method, path, body, headers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	return &Answer{res.StatusCode, res.Header, b}, nil
}

func (c *Client) send(ctx context.Context, method, path string, body []byte, headers []Header) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		r = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, r)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		req.Header.Set(h.Name, h.Value)
	}
	return c.http.Do(req)
}

// Call does one call and decodes the data of a success into out (nil: not wanted). A refusal is a *Problem; any other error means that no
// answer came, so that nobody knows whether the call had its effect.
func (c *Client) Call(ctx context.Context, method, path string, body, out any, headers ...Header) error {
	a, err := c.Do(ctx, method, path, body, headers...)
	if err != nil {
		return err
	}
	return a.Into(out)
}

// Into decodes the data of a success; a refusal is a *Problem.
func (a *Answer) Into(out any) error {
	if a.Status >= 400 {
		p := &Problem{}
		if err := json.Unmarshal(a.Body, p); err != nil || p.Code == "" {
			p.Code, p.Detail = "NOT_A_PROBLEM_DOCUMENT", shorten(a.Body)
		}
		p.Status = a.Status
		return p
	}
	if out == nil {
		return nil
	}
	var envelope struct {
		Success bool            `json:"success"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(a.Body, &envelope); err != nil || !envelope.Success {
		return fmt.Errorf("an answer %d that is no success envelope: %s", a.Status, shorten(a.Body))
	}
	return json.Unmarshal(envelope.Data, out)
}

func shorten(b []byte) string {
	const most = 300
	if len(b) > most {
		return string(b[:most]) + "…"
	}
	return string(b)
}

// List reads all pages of a listing and hands each element to take.
func (c *Client) List(ctx context.Context, path string, query url.Values, take func(json.RawMessage) error) error {
	q := url.Values{"limit": {"200"}}
	for k, v := range query {
		q[k] = v
	}
	for {
		a, err := c.Do(ctx, http.MethodGet, path+"?"+q.Encode(), nil)
		if err != nil {
			return err
		}
		var data []json.RawMessage
		if err := a.Into(&data); err != nil {
			return fmt.Errorf("listing %s: %w", path, err)
		}
		for _, d := range data {
			if err := take(d); err != nil {
				return err
			}
		}
		var page struct {
			NextCursor string `json:"next_cursor"`
		}
		if err := json.Unmarshal(a.Body, &page); err != nil {
			return err
		}
		if page.NextCursor == "" {
			return nil
		}
		q.Set("cursor", page.NextCursor)
	}
}
