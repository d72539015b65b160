package obs

import (
	"io"
	"log/slog"
	"strings"
)

// secretKeys are attribute names whose values are never written, whoever logs them.
var secretKeys = []string{"password", "passwd", "secret", "token", "authorization", "cookie", "connection_string", "database_url", "encryption_key", "api_key"}

// NewLogger writes JSON lines, or text for a person when format is "text".
func NewLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

func redact(_ []string, a slog.Attr) slog.Attr {
	key := strings.ToLower(a.Key)
	for _, s := range secretKeys {
		if strings.Contains(key, s) {
			return slog.String(a.Key, "[redacted]")
		}
	}
	return a
}
