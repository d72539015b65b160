package external

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"unicode"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kitshub/kitshub/internal/egress"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/provider"
)

// fault is why a database that somebody brought cannot be used: as a refusal for who brings it, and as a failed step for the pipeline.
type fault struct {
	code    hub.Code
	class   hub.Class
	native  string // the server's own code, or a word for it
	message string // one sentence
	fix     string // one sentence
	cause   error  // for the log
	field   string // the part of what was given that is to be corrected, where it is not the usual one
}

func (f *fault) Error() string {
	return f.message + " " + f.fix
}

func (f *fault) Unwrap() error { return f.cause }

// step is the fault as the pipeline tells it.
func (f *fault) step() error {
	return &hub.StepError{Class: f.class, Code: f.native, Err: f}
}

// refusal is the fault as who brings the database is told.
func (f *fault) refusal(field string) *hub.Error {
	if f.field != "" {
		field = f.field
	}
	return &hub.Error{Code: f.code, Field: field, Message: f.message, Fix: f.fix, Cause: f.cause}
}

// SQLSTATEs that are met and meant (https://www.postgresql.org/docs/current/errcodes-appendix.html).
const (
	codeNoDatabase  = "3D000"
	codePassword    = "28P01"
	codeAuth        = "28000"
	codeNoRight     = "42501"
	codeTooMany     = "53300"
	codeNotReadable = "25006"
	codeStarting    = "57P03"
)

// explain makes a fault of an error met with a database. It repeats nothing of the server's own words that could hold the password: a server
// that lies can have been told it.
func (a address) explain(ctx context.Context, doing string, err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		f.message, f.fix = short(f.message, maxWords), short(f.fix, maxWords) // names in them are the server's
		return f
	}
	if err == nil {
		return nil
	}
	cause := a.scrub(fmt.Errorf("%s: %w", doing, err))
	code := provider.PostgresCode(err)
	at := net.JoinHostPort(a.host, fmt.Sprint(a.port))
	say := func(c hub.Code, class hub.Class, native, message, fix string) *fault {
		return &fault{code: c, class: class, native: native, message: message, fix: fix, cause: cause}
	}
	var refused *egress.Refused
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &refused):
		return say(hub.CodeAddressRefused, hub.ClassAuth, "", "The address is refused: "+refused.Error()+".", "Use one on the public internet, or have EGRESS_ALLOW_CIDRS allow it.")
	case code != "":
		return a.explainCode(code, cause, err)
	case errors.As(err, &dns) && dns.IsNotFound:
		return say(hub.CodeConnectionFailed, hub.ClassNetwork, "", "The host "+a.host+" is not known.", "Correct its name.")
	case errors.As(err, &dns):
		return say(hub.CodeConnectionFailed, hub.ClassNetwork, "", "The name of the host "+a.host+" could not be looked up.", "Try again; if it stays, check the name.")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout(), ctx.Err() != nil:
		return say(hub.CodeConnectionFailed, hub.ClassNetwork, "", "There was no answer from "+at+" in time.", "Check host and port, and that its firewall lets the hub in.")
	case provider.TLSTrouble(err) != "":
		return say(hub.CodeConnectionFailed, hub.ClassAuth, "TLS", "There is no TLS as sslmode="+a.sslmode+" asks for: "+provider.TLSTrouble(err)+".", "Correct the server's TLS, or choose another sslmode if you know what that gives away.")
	case errors.Is(err, syscall.ECONNREFUSED):
		return say(hub.CodeConnectionFailed, hub.ClassNetwork, "ECONNREFUSED", "Nothing listens at "+at+".", "Check host and port, and that the server is up.")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return say(hub.CodeConnectionFailed, hub.ClassNetwork, "", "There is no way from the hub to "+at+".", "Use an address that the hub's network reaches; IPv6 may be missing.")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return say(hub.CodeConnectionFailed, hub.ClassNetwork, "", "The connection to "+at+" broke off.", "Check that a Postgres server listens there, then try again.")
	case strings.Contains(err.Error(), "channel binding"):
		return say(hub.CodeConnectionFailed, hub.ClassAuth, "", "The server gives no channel binding, which the connection string requires.", "Use sslmode=require with it, or leave channel_binding out.")
	}
	class, native := provider.ClassifyPostgres(err)
	return say(hub.CodeConnectionFailed, class, native, "The server at "+at+" does not answer as Postgres does.", "Check that it is one, not older than version 15.")
}

// explainCode is for what the server itself said.
func (a address) explainCode(code string, cause, err error) *fault {
	class, _ := provider.ClassifyPostgres(err)
	f := &fault{code: hub.CodeConnectionFailed, class: class, native: code, cause: cause}
	switch code {
	case codePassword, codeAuth:
		f.code, f.message, f.fix = hub.CodeCredentialsInvalid, "The server does not let this user in: "+a.words(err)+".", "Correct user and password, or the server's pg_hba.conf."
		if code == codeAuth && strings.Contains(err.Error(), "no pg_hba.conf entry") {
			f.message, f.fix = "The server's pg_hba.conf does not let this user in from here"+a.plainly()+".", "Add an entry for the hub, or use the sslmode that it asks for."
		}
	case codeNoDatabase:
		f.code, f.class, f.message, f.fix = hub.CodeCredentialsInvalid, hub.ClassData, "The server has no database of this name.", "Make it, or correct the name."
	case codeNoRight:
		f.code, f.message, f.fix = hub.CodeCredentialsInvalid, "The user lacks a right that is needed: "+a.words(err)+".", "Grant it; better, make the user the database's owner."
	case codeTooMany:
		f.message, f.fix = "The server has no room for another connection of this user.", "Close some, or raise the user's CONNECTION LIMIT or the server's max_connections."
	case codeNotReadable:
		f.message, f.fix = "The server is read-only.", "Give the address of the primary."
	case codeStarting:
		f.message, f.fix = "The server is starting or stopping.", "Try again in a moment."
	default:
		f.message, f.fix = fmt.Sprintf("The server refused (%s): %s.", code, a.words(err)), "Correct what it names, then try again."
	}
	return f
}

func (a address) plainly() string {
	if a.sslmode == "disable" {
		return " without TLS"
	}
	return ""
}

// words is the server's own sentence, short and without the password.
func (a address) words(err error) string {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return "no reason given"
	}
	return strings.TrimSuffix(short(a.hide(strings.ToValidUTF8(pg.Message, "?")), maxWords/2), ".")
}

// maxWords is the length of a sentence with something in it that a server said.
const maxWords = 400 // characters

// short makes one line of at most n characters of a text: a server may say what is long, or what a terminal obeys.
func short(text string, n int) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, text)
	if r := []rune(text); len(r) > n {
		return string(r[:n]) + "…"
	}
	return text
}

func (a address) hide(text string) string {
	if a.password == "" {
		return text
	}
	return strings.ReplaceAll(text, a.password, "[redacted]")
}

// scrub keeps what errors.Is and errors.As find and hides the password in the words.
func (a address) scrub(err error) error { return &scrubbed{err, a.hide(err.Error())} }

type scrubbed struct {
	err  error
	text string
}

func (s *scrubbed) Error() string { return s.text }
func (s *scrubbed) Unwrap() error { return s.err }
