package external

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kitshub/kitshub/internal/hub"
)

// address is a connection string that was read and judged. Everything a connection goes by is in it: no setting of the hub's own environment,
// no service file and no password file has a part in it.
type address struct {
	host     string // lower case, without brackets and without a final dot
	port     uint16
	database string
	user     string
	password string

	sslmode        string
	channelBinding string
	appName        string
	target         string // target_session_attrs
}

const (
	defaultPort = 5432
	defaultSSL  = "prefer" // as libpq
	maxName     = 63       // bytes; Postgres cuts what is longer with only a notice
	maxString   = 4096     // bytes of a connection string
	maxHost     = 253      // RFC 1035
)

// allowed are the keys that a connection string may have, each with its values; none means that it is checked by itself. What is left out is
// left out on purpose: drivers read files that sslrootcert, sslkey, passfile and servicefile name, and options sets whatever it likes.
var allowed = map[string][]string{
	"sslmode":              {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
	"channel_binding":      {"disable", "prefer", "require"},
	"target_session_attrs": {"any", "read-write", "primary"},
	"application_name":     nil,
	"connect_timeout":      nil,
}

// refusedKeys are those that people use elsewhere; only these are named in a refusal, since what stands in a key's place may be a part of a
// password that was not escaped.
var refusedKeys = []string{
	"host", "hostaddr", "port", "dbname", "database", "user", "password", "passfile", "service", "servicefile", "options", "sslcert", "sslkey",
	"sslrootcert", "sslpassword", "sslcrl", "sslcrldir", "sslcertmode", "sslsni", "sslnegotiation", "ssl", "requiressl", "sslcompression",
	"ssl_min_protocol_version", "ssl_max_protocol_version", "min_protocol_version", "max_protocol_version", "require_auth", "requirepeer",
	"gssencmode", "gsslib", "gssdelegation", "krbsrvname", "krbspn", "replication", "load_balance_hosts", "fallback_application_name",
	"keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "client_encoding", "timezone", "search_path",
	"statement_timeout", "lock_timeout", "default_query_exec_mode", "statement_cache_capacity", "description_cache_capacity", "pgbouncer",
	"schema", "connection_limit", "pool_timeout", "pool_max_conns", "sslinline", "supa", "workaround", "role",
}

const isPath = "The host is a path; the hub connects by TCP only."

const form = "Write postgres://user:password@host:5432/database and percent-encode special characters of the password."

// numeric is a host that some resolvers take for an IPv4 address and others for a name: 2130706433, 0177.0.0.1, 0x7f.1. No top-level domain ends so.
var numeric = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)$`)

// keyValue is how libpq's other form begins.
var keyValue = regexp.MustCompile(`^[a-z_]+\s*=`)

// reader collects what is wrong with a connection string. It never repeats a value.
type reader struct {
	field string
	wrong []*hub.Error
}

func (r *reader) say(code hub.Code, message, fix string) {
	r.wrong = append(r.wrong, hub.FieldError(code, r.field, message, fix))
}

// parse reads a connection string and tells everything that is wrong with it; field is where it came from. Only the URL form is taken: libpq's
// key=value form has quoting rules that drivers differ about, and what one reads otherwise than another cannot be checked.
func parse(raw, field string) (address, []*hub.Error) {
	r := &reader{field: field}
	raw = strings.TrimSpace(raw)
	if raw == "" {
		r.say(hub.CodeMissingField, field+" is needed.", form)
		return address{}, r.wrong
	}
	rest, ok := afterScheme(raw)
	switch {
	case !ok && keyValue.MatchString(raw):
		r.say(hub.CodeInvalidField, "The connection string is in the key=value form; only the URL form is taken.", form)
		return address{}, r.wrong
	case len(raw) > maxString || !utf8.ValidString(raw) || strings.ContainsFunc(raw, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		r.say(hub.CodeInvalidField, "The connection string is too long or holds a blank or control character.", form)
		return address{}, r.wrong
	case !ok:
		r.say(hub.CodeInvalidField, "The connection string does not begin with postgres:// or postgresql://.", form)
		return address{}, r.wrong
	}
	authority, _, _ := strings.Cut(rest, "/")
	switch host := strings.ToLower(authority[strings.LastIndex(authority, "@")+1:]); {
	case strings.Count(authority, "@") > 1: // libpq takes the first for the end of the password, others the last
		r.say(hub.CodeInvalidField, "The connection string is malformed.", form)
		return address{}, r.wrong
	case strings.Contains(host, ","):
		r.say(hub.CodeAddressRefused, "The connection string names several hosts.", "Name one.")
		return address{}, r.wrong
	case strings.Contains(host, "%2f"):
		r.say(hub.CodeAddressRefused, isPath, "Name the server's host.")
		return address{}, r.wrong
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		r.say(hub.CodeInvalidField, "The connection string is malformed.", form)
		return address{}, r.wrong
	}
	a := address{sslmode: defaultSSL}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		r.say(hub.CodeInvalidField, "The connection string holds a #.", "Write %23 where it belongs to the password.")
	}
	r.place(&a, u)
	r.login(&a, u)
	r.keys(&a, u.RawQuery)
	return a, r.wrong
}

func afterScheme(raw string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(raw, "postgres://"); ok {
		return rest, true
	}
	return strings.CutPrefix(raw, "postgresql://")
}

// place reads host, port and database.
func (r *reader) place(a *address, u *url.URL) {
	a.host = strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if ip, err := netip.ParseAddr(a.host); err == nil && ip.Zone() == "" {
		a.host = ip.Unmap().String()
	} else if why, fix := badHost(a.host); why != "" {
		r.say(hub.CodeAddressRefused, why, fix)
	}
	a.port = defaultPort
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			r.say(hub.CodeInvalidField, "The port is not a number from 1 to 65535.", form)
		}
		a.port = uint16(n)
	}
	a.database = strings.TrimPrefix(u.Path, "/")
	r.name("database", a.database)
}

// badHost says why a host is none to connect to.
func badHost(host string) (why, fix string) {
	switch {
	case host == "":
		return "The connection string names no host.", form
	case strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") || strings.HasPrefix(host, "."):
		return isPath, "Name the server's host."
	case len(host) > maxHost || strings.HasSuffix(host, ".") || numeric.MatchString(host) || strings.ContainsFunc(host, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_')
	}):
		return "The host is no name or address.", "Write a host name in ASCII (xn--… for others), an IPv4 address, or an IPv6 address in brackets."
	}
	return "", ""
}

func (r *reader) name(what, s string) {
	switch {
	case s == "":
		r.say(hub.CodeInvalidField, "The connection string names no "+what+".", form)
	case len(s) > maxName:
		r.say(hub.CodeInvalidField, fmt.Sprintf("The %s is longer than %d bytes, which Postgres cuts.", what, maxName), "Give its name as the server has it.")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) || strings.Contains(s, "/"):
		r.say(hub.CodeInvalidField, "The "+what+" holds a character that no such name has here.", "Give one without slashes and control characters.")
	}
}

// login reads user and password.
func (r *reader) login(a *address, u *url.URL) {
	if u.User != nil {
		a.user = u.User.Username()
		a.password, _ = u.User.Password()
	}
	r.name("user", a.user)
	switch {
	case a.password == "":
		r.say(hub.CodeCredentialsInvalid, "The connection string has no password.", "Give it; the hub reads no password file.")
	case len(a.password) > 1024 || !utf8.ValidString(a.password) || strings.ContainsRune(a.password, 0):
		r.say(hub.CodeInvalidField, "The password is no text that a server takes.", "Correct it.")
	}
}

// keys reads what follows the question mark.
func (r *reader) keys(a *address, query string) {
	if strings.Contains(query, ";") {
		r.say(hub.CodeInvalidField, "What follows the question mark is malformed.", "Join the keys with &.")
		return
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		r.say(hub.CodeInvalidField, "What follows the question mark is malformed.", form)
		return
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		r.key(a, name, values[name])
	}
}

func (r *reader) key(a *address, name string, given []string) {
	values, ok := allowed[name]
	switch {
	case !ok:
		shown := "a key that is not known here"
		if slices.Contains(refusedKeys, strings.ToLower(name)) {
			shown = "the key " + strings.ToLower(name) + ", which is not taken"
		}
		r.say(hub.CodeInvalidField, "The connection string has "+shown+".", "Leave it out; these may stand there: application_name, channel_binding, connect_timeout, sslmode, target_session_attrs.")
		return
	case len(given) != 1:
		r.say(hub.CodeInvalidField, "The connection string has "+name+" twice.", "Give it once.")
		return
	case values != nil && !slices.Contains(values, given[0]):
		r.say(hub.CodeInvalidField, "The connection string's "+name+" has a value that is not taken.", "Use one of: "+strings.Join(values, ", ")+".")
		return
	}
	v := given[0]
	switch name {
	case "sslmode":
		a.sslmode = v
	case "channel_binding":
		a.channelBinding = v
	case "target_session_attrs":
		a.target = v
	case "application_name":
		if len(v) > maxName || strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) {
			r.say(hub.CodeInvalidField, "The connection string's application_name is no plain text of at most 63 characters.", "Leave it out.")
		}
		a.appName = v
	case "connect_timeout": // the hub has its own; a wrong one would fail in the customer's program
		if n, err := strconv.Atoi(v); err != nil || n < 0 || n > 600 {
			r.say(hub.CodeInvalidField, "The connection string's connect_timeout is no number of seconds.", "Leave it out.")
		}
	}
}

// place is where the database lies, without secrets: the same for each spelling of the address, and for each way that is known to lead there.
func (a address) place() string {
	return net.JoinHostPort(a.server(), strconv.Itoa(int(a.port))) + "/" + url.PathEscape(a.database)
}

// URL writes the address for the customer's program.
func (a address) URL() string {
	q := url.Values{"sslmode": {a.sslmode}}
	for name, v := range map[string]string{"channel_binding": a.channelBinding, "target_session_attrs": a.target, "application_name": a.appName} {
		if v != "" {
			q.Set(name, v)
		}
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(a.user, a.password), Host: net.JoinHostPort(a.host, strconv.Itoa(int(a.port))),
		Path: "/" + a.database, RawQuery: q.Encode(),
	}
	return u.String()
}

// env is the address as libpq's environment variables, with the names that other providers use.
func (a address) env(tenantID string) map[string]string {
	return map[string]string{
		"DATABASE_URL": a.URL(), "KITSHUB_TENANT": tenantID, "PGHOST": a.host, "PGPORT": strconv.Itoa(int(a.port)), "PGDATABASE": a.database,
		"PGUSER": a.user, "PGPASSWORD": a.password, "PGSSLMODE": a.sslmode,
	}
}

// String hides the password wherever an address is printed by mistake.
func (a address) String() string { return a.place() }

// GoString hides it from %#v.
func (a address) GoString() string { return a.place() }
