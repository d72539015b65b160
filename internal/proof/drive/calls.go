package drive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// SignUp is what a customer sends.
type SignUp struct {
	Email       string   `json:"email"`
	CompanyName string   `json:"company_name"`
	ContactName string   `json:"contact_name"`
	Plan        string   `json:"plan"`
	Features    []string `json:"features,omitempty"`
}

// SignedUp is the part of the answer that is used here.
type SignedUp struct {
	Customer struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	} `json:"customer"`
	Request     Request `json:"request"`
	StatusToken string  `json:"status_token"`
}

// Request is the part of a request that is used here.
type Request struct {
	ID         string   `json:"id"`
	Status     string   `json:"status"`
	Plan       string   `json:"plan"`
	Features   []string `json:"features"`
	AssignedTo string   `json:"assigned_to"`
	Customer   struct {
		Email string `json:"email"`
	} `json:"customer"`
	Failure *Failure `json:"failure"` // why it is failed
}

// Failure is what an operator reads of a failed request.
type Failure struct {
	Step    string     `json:"step"`
	Class   string     `json:"class"`
	Code    string     `json:"code"`
	Cause   string     `json:"cause"`
	Action  string     `json:"action"`
	RetryAt *time.Time `json:"retry_at"` // when the hub tries again by itself
}

// SignUp signs a customer up; key is the Idempotency-Key, or empty.
func (c *Client) SignUp(ctx context.Context, s SignUp, key string) (*SignedUp, error) {
	var h []Header
	if key != "" {
		h = []Header{{"Idempotency-Key", key}}
	}
	out := &SignedUp{}
	return out, c.Call(ctx, http.MethodPost, "/api/v1/onboarding", s, out, h...)
}

// Status is the part of the waiting customer's document that is used here.
type Status struct {
	Status   string     `json:"status"`
	Reason   string     `json:"reason"`
	RetryAt  *time.Time `json:"retry_at"` // of one that failed: when the hub tries again by itself
	Position int        `json:"position"`
	Progress struct {
		Completed int    `json:"completed"`
		Total     int    `json:"total"`
		Steps     []Step `json:"steps"`
	} `json:"progress"`
}

// Step is one step of the pipeline, as a customer sees it.
type Step struct {
	Name       string     `json:"name"`
	Status     string     `json:"status"`
	FinishedAt *time.Time `json:"finished_at"`
}

// ReadyAt is when the last step ended, by the hub's clock.
func (s *Status) ReadyAt() (at time.Time, ok bool) {
	for _, st := range s.Progress.Steps {
		if st.FinishedAt != nil && st.FinishedAt.After(at) {
			at, ok = *st.FinishedAt, true
		}
	}
	return at, ok
}

// Ended says that nothing more happens by itself.
func (s *Status) Ended() bool {
	return s.Status == "completed" || s.Status == "failed" && s.RetryAt == nil || s.Status == "cancelled"
}

// Status asks once.
func (c *Client) Status(ctx context.Context, token string) (*Status, error) {
	s := &Status{}
	return s, c.Call(ctx, http.MethodGet, "/api/v1/status", nil, s, Bearer(token))
}

// Await follows the status stream until until says enough, or ctx ends. A stream that breaks is an error.
func (c *Client) Await(ctx context.Context, token string, until func(*Status) bool) (*Status, error) {
	res, err := c.send(ctx, http.MethodGet, "/api/v1/status/events", nil, []Header{Bearer(token)})
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(res.Body)
		return nil, (&Answer{res.StatusCode, res.Header, b}).Into(nil)
	}
	var last *Status
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		last = &Status{}
		if err := json.Unmarshal(bytes.TrimSpace(data), last); err != nil {
			return nil, fmt.Errorf("an event that is no status: %w", err)
		}
		if until(last) {
			return last, nil
		}
	}
	return last, errors.Join(errors.New("the status stream ended early"), lines.Err(), ctx.Err())
}

// Cancel has the customer leave the line, or give up a request that has failed.
func (c *Client) Cancel(ctx context.Context, token string) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/status/cancel", nil, nil, Bearer(token))
}

// Connection is what a customer gets to connect with.
type Connection struct {
	URL string            `json:"url"`
	Env map[string]string `json:"env"`
}

// Reveal asks for the connection details, which are given once.
func (c *Client) Reveal(ctx context.Context, token string) (*Connection, error) {
	out := &Connection{}
	return out, c.Call(ctx, http.MethodPost, "/api/v1/status/credentials", nil, out, Bearer(token))
}

// Place gives what the database is opened by: the file of a sqlite:////path URL, or a postgres:// URL as it is.
func (c *Connection) Place() (string, error) {
	if strings.HasPrefix(c.URL, "postgres://") {
		return c.URL, nil
	}
	return c.File()
}

// File gives the file of a sqlite:////path URL.
func (c *Connection) File() (string, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "sqlite" {
		return "", fmt.Errorf("connection details that name no SQLite file: %.40q", c.URL)
	}
	return filepath.Clean("/" + strings.TrimLeft(u.Path, "/")), nil
}

// Login makes this client an operator's.
func (c *Client) Login(ctx context.Context, email, password string) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/auth/login", map[string]string{"email": email, "password": password}, nil)
}

// Move does a move without a body: claim, release, retry, cancel.
func (c *Client) Move(ctx context.Context, id, move string) (*Request, error) {
	out := &Request{}
	return out, c.Call(ctx, http.MethodPost, "/api/v1/requests/"+url.PathEscape(id)+"/"+move, nil, out)
}

// ClaimNext claims the head of the line.
func (c *Client) ClaimNext(ctx context.Context) (*Request, error) {
	out := &Request{}
	return out, c.Call(ctx, http.MethodPost, "/api/v1/requests/claim-next", nil, out)
}

// Give has the hub make the backend of a claimed request by a provider: sqlite or postgres.
func (c *Client) Give(ctx context.Context, id, provider string) error {
	return c.Call(ctx, http.MethodPost, "/api/v1/requests/"+url.PathEscape(id)+"/credentials", map[string]string{"provider": provider}, nil)
}

// Requests lists the line, all pages.
func (c *Client) Requests(ctx context.Context, query url.Values) ([]Request, error) {
	var all []Request
	err := c.List(ctx, "/api/v1/requests", query, func(raw json.RawMessage) error {
		var r Request
		if err := json.Unmarshal(raw, &r); err != nil {
			return err
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// Operator is an account made for a run.
type Operator struct{ Email, Password string }

// CreateOperator makes an admin with the command line, on the same data as the running hub.
func (o Options) CreateOperator(ctx context.Context, op Operator) error {
	_, err := o.Command(ctx, op.Password+"\n", "operators", "create", "--email", op.Email, "--name", "Proof Operator", "--role", "admin", "--password-file", "-")
	return err
}
