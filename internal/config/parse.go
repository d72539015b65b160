package config

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	idleMin    = time.Second
	idleMax    = time.Hour
	connectMin = 100 * time.Millisecond
	connectMax = time.Minute

	// passphraseMin keeps out passphrases that no stretching can save. vault refuses the same.
	passphraseMin = 12
	keyBytes      = 32
)

func oneOf(field *string, value string, allowed ...string) *fault {
	if !slices.Contains(allowed, value) {
		return &fault{"it has a value that is not known", "Use " + strings.Join(allowed, " or ") + "."}
	}
	*field = value
	return nil
}

func whole(field *int, value string, low, high int) *fault {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return &fault{"it is not a whole number in its range", fmt.Sprintf("Use a number from %d to %d.", low, high)}
	}
	*field = n
	return nil
}

func duration(field *time.Duration, value string, low, high time.Duration) *fault {
	d, err := time.ParseDuration(value)
	if err != nil {
		return &fault{"it is not a duration", "Write a number with its unit, for example 500ms, 30s or 5m."}
	}
	if d < low || d > high {
		return &fault{"it is out of its range", fmt.Sprintf("Use a duration from %s to %s.", short(low), short(high))}
	}
	*field = d
	return nil
}

// short writes 1m and 1h, where Duration.String writes 1m0s and 1h0m0s.
func short(d time.Duration) string {
	s := strings.TrimSuffix(d.String(), "0s")
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if s == "" || !strings.HasSuffix(s, "m") && !strings.HasSuffix(s, "h") {
		return d.String()
	}
	return s
}

func address(field *string, value string) *fault {
	host, port, err := net.SplitHostPort(value)
	if err != nil {
		return &fault{"it is not host:port", "Write for example 127.0.0.1:8080, :8080 or, for IPv6, [::1]:8080 with the brackets."}
	}
	if strings.Contains(host, ":") { // only IPv6 has colons, and then it must be right
		if _, err := netip.ParseAddr(host); err != nil {
			return &fault{"its IPv6 address is malformed", "Write it in brackets, for example [::1]:8080."}
		}
	} else if strings.ContainsAny(host, " /@?#%") || strings.HasPrefix(value, "[") {
		return &fault{"its host is malformed", "Write a host name or an address before the port, for example 127.0.0.1:8080, without a scheme."}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || port != strconv.FormatUint(n, 10) {
		return &fault{"its port is not a number from 0 to 65535", "Write for example 127.0.0.1:8080; port 0 takes a free one."}
	}
	*field = value
	return nil
}

// URLFor gives the address under which a browser on the same machine reaches a listener on addr (host:port), for
// "every interface" the loopback one. It is the default of PUBLIC_URL.
func URLFor(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return ""
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	host = strings.Replace(host, "%", "%25", 1) // the zone of a link-local address, RFC 6874
	return "http://" + net.JoinHostPort(host, port)
}

// origin reads scheme://host[:port] and nothing else, and gives it in lower case without a default port.
func origin(value string, schemes ...string) (string, *fault) {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) {
		return "", &fault{"it is not an " + strings.Join(schemes, " or ") + " address", "Write for example " + schemes[0] + "://hub.example.com."}
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Trim(u.Path, "/") != "" || u.Opaque != "" {
		return "", &fault{"it has more than scheme, host and port", "Leave out user, path, query and fragment: " + schemes[0] + "://hub.example.com."}
	}
	host := strings.ToLower(u.Host)
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "", &fault{"its port is not a number from 1 to 65535", "Write for example " + schemes[0] + "://hub.example.com:8443."}
		}
		if u.Scheme == "https" && p == "443" || u.Scheme == "http" && p == "80" {
			host = strings.TrimSuffix(host, ":"+p) // browsers send an origin so
		}
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":"), nil
}

func setPublicURL(c *Config, value string) *fault {
	u, f := origin(value, "https", "http")
	c.PublicURL = u
	return f
}

func directory(field *string, value string, mustExist bool) *fault {
	info, err := os.Stat(value)
	if err == nil && !info.IsDir() {
		return &fault{"it is not a directory", "Give the path of a directory."}
	}
	if err != nil && mustExist {
		return &fault{"its directory cannot be read", "Check that the path exists and that the hub's user may read it."}
	}
	*field = filepath.Clean(value)
	return nil
}

func setDatabaseURL(c *Config, value string) *fault {
	u, err := url.Parse(strings.TrimSpace(value))
	if err != nil {
		return &fault{"it is not an address", "Write postgres://user:password@host:5432/name and percent-encode special characters of the password."}
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return &fault{"it is of an engine that is not supported", "Begin it with postgres://, or leave it out for SQLite in DATA_DIR."}
	}
	if u.Opaque != "" || u.Fragment != "" {
		return &fault{"it is malformed", "Write postgres://user:password@host:5432/name and percent-encode special characters of the password."}
	}
	c.DatabaseURL = Secret(strings.TrimSpace(value))
	return nil
}

var clusterName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`)

const clusterFix = "Write postgres://user:password@host:5432/postgres and percent-encode special characters of the password."

// namedCluster reads one TENANT_DATABASE_URL_<NAME>.
func namedCluster(c *Config, member, value string) *fault {
	name := strings.ReplaceAll(strings.ToLower(member), "_", "-")
	switch {
	case !clusterName.MatchString(name):
		return &fault{"its name is not one a cluster can have", "Name it by a letter, then up to 30 letters, digits and _: TENANT_DATABASE_URL_EU_WEST."}
	case name == MainCluster:
		return &fault{"the cluster main is that of TENANT_DATABASE_URL", "Set TENANT_DATABASE_URL, or choose another name."}
	case slices.ContainsFunc(c.TenantClusters, func(x Cluster) bool { return x.Name == name }):
		return &fault{"there is another variable for the same cluster", "Names differ by more than upper and lower case; leave one of the two."}
	}
	return cluster(c, name, "TENANT_DATABASE_URL_"+member, value)
}

// cluster takes an address that customers' programs can reach too: with a host, and of one server.
func cluster(c *Config, name, variable, value string) *fault {
	value = strings.TrimSpace(value)
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return &fault{"it is not an address", clusterFix}
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return &fault{"it is not of Postgres", clusterFix}
	case u.Hostname() == "" || u.Query().Has("host") || u.Fragment != "":
		return &fault{"it names no host, or not one alone", clusterFix}
	}
	c.TenantClusters = append(c.TenantClusters, Cluster{name, Secret(value), variable})
	return nil
}

// setEncryptionKey checks the form only, so that a mistyped key is reported beside all other problems; vault.OpenKey
// reads the key. The two may not import one another.
func setEncryptionKey(c *Config, value string) *fault {
	form, rest, found := strings.Cut(value, ":")
	if !found {
		return &fault{"its form is not known", "Begin it with base64:, hex:, passphrase:, file: or exec:."}
	}
	trimmed := strings.TrimSpace(rest)
	switch strings.TrimSpace(form) {
	case "base64":
		std := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(trimmed, "="))
		if raw, err := base64.RawStdEncoding.DecodeString(std); err != nil || len(raw) != keyBytes {
			return &fault{"what follows base64: is not 32 bytes in base64", "Make one by `openssl rand -base64 32`."}
		}
	case "hex":
		if raw, err := hex.DecodeString(trimmed); err != nil || len(raw) != keyBytes {
			return &fault{"what follows hex: is not 32 bytes in hexadecimal", "Make one by `openssl rand -hex 32`."}
		}
	case "passphrase":
		if utf8.RuneCountInString(strings.TrimRightFunc(rest, unicode.IsSpace)) < passphraseMin {
			return &fault{"its passphrase is too short", fmt.Sprintf("Use %d characters or more, better several random words.", passphraseMin)}
		}
	case "file":
		if info, err := os.Stat(trimmed); trimmed == "" || err != nil || info.IsDir() {
			return &fault{"its file cannot be read", "Check that the path after file: exists and that the hub's user may read it."}
		}
	case "exec":
		if trimmed == "" {
			return &fault{"it names no command", "Write exec: followed by the command that prints the key."}
		}
	default:
		return &fault{"its form is not known", "Begin it with base64:, hex:, passphrase:, file: or exec:."}
	}
	c.EncryptionKey = Secret(value)
	return nil
}

func setEmailService(c *Config, value string) *fault {
	if value == "resend" {
		return &fault{"resend is not supported by this version yet", "Use smtp (Resend offers it too) or file."}
	}
	return oneOf(&c.EmailService, value, EmailFile, EmailSMTP)
}

func setSMTPURL(c *Config, value string) *fault {
	value = strings.TrimSpace(value)
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || u.Scheme != "smtp" && u.Scheme != "smtps" || strings.Trim(u.Path, "/") != "" || u.Fragment != "" {
		return &fault{"it is not the address of a mail server", "Write smtp://user:password@host:587 or smtps://user:password@host:465 and percent-encode special characters of the password."}
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return &fault{"its port is not a number from 1 to 65535", "Use 587 with smtp:// or 465 with smtps://."}
		}
	}
	c.SMTPURL = Secret(value)
	return nil
}

func setEmailFrom(c *Config, value string) *fault {
	if a, err := mail.ParseAddress(value); err != nil || strings.ContainsFunc(a.Name+a.Address, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &fault{"it is not a mail address", "Write name@example.com or Name <name@example.com>."}
	}
	c.EmailFrom = value
	return nil
}

func list(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func setOrigins(c *Config, value string) *fault {
	for i, item := range list(value) {
		if item == "*" {
			return &fault{"a wildcard would let every site call the API", "List the origins one by one, separated by commas."}
		}
		o, f := origin(item, "https", "http")
		if f != nil {
			return &fault{fmt.Sprintf("entry %d is not an origin", i+1), "Write scheme, host and port only, separated by commas: https://app.example.com."}
		}
		c.CORSAllowedOrigins = append(c.CORSAllowedOrigins, o)
	}
	return nil
}

func setTrustedProxies(c *Config, value string) *fault {
	f := prefixes(&c.TrustedProxies, value)
	if f == nil && wholeNet(c.TrustedProxies) {
		return &fault{"it would trust every address, so anybody could claim any", "List the addresses of your proxies only."}
	}
	return f
}

func setEgress(c *Config, value string) *fault {
	if value == "none" {
		return nil
	}
	f := prefixes(&c.EgressAllowed, value)
	if f == nil && wholeNet(c.EgressAllowed) {
		return &fault{"it would allow every address", "List the ranges of your own network that databases are in."}
	}
	return f
}

// prefixes reads addresses and CIDR ranges, separated by commas.
func prefixes(field *[]netip.Prefix, value string) *fault {
	for i, item := range list(value) {
		prefix, err := netip.ParsePrefix(item)
		if addr, addrErr := netip.ParseAddr(item); addrErr == nil {
			addr = addr.Unmap().WithZone("")
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return &fault{fmt.Sprintf("entry %d is not an address or CIDR range", i+1), "Write for example 10.0.0.0/8,192.0.2.7,2001:db8::/32."}
		}
		*field = append(*field, prefix.Masked())
	}
	return nil
}

func wholeNet(all []netip.Prefix) bool {
	return slices.ContainsFunc(all, func(p netip.Prefix) bool { return p.Bits() == 0 })
}

func setLogLevel(c *Config, value string) *fault {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	level, ok := levels[strings.ToLower(value)]
	if !ok {
		return &fault{"it has a value that is not known", "Use debug, info, warn or error."}
	}
	c.LogLevel = level
	return nil
}
