package obs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Redacted stands where a secret was.
const Redacted = "[redacted]"

// NewLogger makes the hub's logger. format is "json" (also for anything unknown) or "text". What is logged under a secret key is blanked,
// and so is the password of an address (scheme://user:password@host) in any text, messages and errors included. Warnings and errors are not
// held back by a Writer.
func NewLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	handler := func(o *slog.HandlerOptions) slog.Handler {
		if format == "text" {
			return slog.NewTextHandler(w, o)
		}
		return slog.NewJSONHandler(w, o)
	}
	out, gathers := w.(*Writer)
	if !gathers {
		w = &oneByOne{w: w}
	}
	h := lines{out: out, plain: handler(&slog.HandlerOptions{Level: level}), redacted: handler(&slog.HandlerOptions{Level: level, ReplaceAttr: redact})}
	return slog.New(h)
}

// oneByOne is for the two handlers of lines, each of which knows of its own lines only.
type oneByOne struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneByOne) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(line)
}

// lines writes lines. The line of each call has nothing to be blanked, and a handler that does not try is quicker.
type lines struct {
	plain, redacted slog.Handler
	out             *Writer // or nil
}

// Enabled implements slog.Handler.
func (h lines) Enabled(ctx context.Context, level slog.Level) bool {
	return h.plain.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h lines) Handle(ctx context.Context, r slog.Record) error {
	to := h.plain
	if !harmless(r) {
		to = h.redacted
	}
	err := to.Handle(ctx, r)
	if h.out != nil && r.Level >= slog.LevelWarn {
		err = errors.Join(err, h.out.Flush())
	}
	return err
}

// WithAttrs implements slog.Handler. What is added is in each line from then on, so each goes the careful way.
func (h lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := h.redacted.WithAttrs(attrs)
	return lines{with, with, h.out}
}

// WithGroup implements slog.Handler.
func (h lines) WithGroup(name string) slog.Handler {
	with := h.redacted.WithGroup(name)
	return lines{with, with, h.out}
}

// harmless reports whether redact would leave a line as it is.
func harmless(r slog.Record) bool {
	ok := !hasAddress(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		switch a.Value.Kind() {
		case slog.KindString:
			ok = ok && !hasAddress(a.Value.String())
		case slog.KindInt64, slog.KindUint64, slog.KindFloat64, slog.KindBool, slog.KindDuration, slog.KindTime:
		default:
			ok = false // what may hold more than it shows
		}
		ok = ok && !isSecret(a.Key)
		return ok
	})
	return ok
}

// secretKeys are parts of keys whose values are blanked. Rather one too many: a value that is missed in a log can be found elsewhere.
var secretKeys = []string{
	"password", "passwd", "passphrase", "secret", "token", "authorization", "cookie", "credential", "connection_string", "connectionstring",
	"dsn", "api_key", "apikey", "api-key", "private_key", "encryption_key", "role_key", "anon_key", "database_url", "smtp_url", "totp",
}

func isSecret(key string) bool {
	switch key { // of the line of each call, which is most of what is logged
	case slog.TimeKey, slog.LevelKey, slog.MessageKey, "method", "route", "status", "duration_ms", "bytes", "request_id", "trace_id", "actor":
		return false
	}
	key = strings.ToLower(key)
	return slices.ContainsFunc(secretKeys, func(s string) bool { return strings.Contains(key, s) })
}

func redact(groups []string, a slog.Attr) slog.Attr {
	if isSecret(a.Key) || slices.ContainsFunc(groups, isSecret) {
		return slog.String(a.Key, Redacted)
	}
	switch v := a.Value; v.Kind() {
	case slog.KindString:
		if s := v.String(); hasAddress(s) {
			return slog.String(a.Key, blankPasswords(s))
		}
	case slog.KindAny:
		a.Value = slog.AnyValue(scrub(v.Any()))
	}
	return a
}

// scrub goes into the kinds of values that a log line is likely to carry. A struct is printed as it is: log its fields by name.
func scrub(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return scrubMap(v, scrub)
	case map[string]string:
		return scrubMap(v, func(s string) any { return blankPasswords(s) })
	case http.Header:
		return scrubMap(v, func(s []string) any { return scrub(s) })
	case url.Values:
		return scrubMap(v, func(s []string) any { return scrub(s) })
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = scrub(v[i])
		}
		return out
	case []string:
		out := make([]string, len(v))
		for i := range v {
			out[i] = blankPasswords(v[i])
		}
		return out
	case string:
		return blankPasswords(v)
	case *url.URL:
		if v == nil {
			return v
		}
		return blankPasswords(v.String())
	case error: // its text is all that a handler prints
		return blankPasswords(v.Error())
	case fmt.Stringer:
		if s := v.String(); hasAddress(s) {
			return blankPasswords(s)
		}
	}
	return v
}

func scrubMap[M ~map[string]V, V any](m M, clean func(V) any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if isSecret(k) {
			out[k] = Redacted
		} else {
			out[k] = clean(v)
		}
	}
	return out
}

// The password ends at the last @ before the host, since people forget to escape one in it.
var password = regexp.MustCompile(`(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/?#@]*):[^\s/]*@`)

func hasAddress(s string) bool { return strings.Contains(s, "://") && strings.Contains(s, "@") }

func blankPasswords(s string) string {
	if !hasAddress(s) {
		return s
	}
	return password.ReplaceAllString(s, "${1}:"+Redacted+"@")
}
