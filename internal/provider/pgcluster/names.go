package pgcluster

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
)

// Names are made here and nowhere else. Postgres cuts a name over 63 bytes with no more than a notice, so two long names could become one;
// the longest of ours has 58.
const (
	maxName = 63

	ownerSuffix   = "_o" // of the role that migrates
	runtimeSuffix = "_r" // of the role that the customer's program has
)

var (
	plainID   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	plainName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}$`) // a cluster's, an installation's
	plainKey  = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)
	digest    = regexp.MustCompile(`^[a-z2-7]{26}$`)

	base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
)

// names are those of one installation on one cluster. A second hub with data of its own may use the same cluster under another installation
// name: then neither sees the other's databases in a list, and neither can touch them.
type names struct {
	prefix string // "kh_", or "kh" and eight characters and "_"
	tag    string // what every marker ends with: "", or "@installation"
}

func newNames(installation string) names {
	if installation == "" {
		return names{prefix: "kh_"}
	}
	return names{prefix: "kh" + hashed("installation", installation)[:8] + "_", tag: "@" + installation}
}

func (n names) owner() string { return n.prefix + "owner" } // owns what is inside every database
func (n names) app() string   { return n.prefix + "app" }   // holds what every customer's program may do

// database names the database of a tenant or of a pool's member. It is a digest, so it tells a neighbour who lists databases nothing. Comments tell
// him the ids, since every role may read those; they open nothing.
func (n names) database(id string, generation int64) string {
	return n.prefix + hashed("database", id, strconv.FormatInt(generation, 10))
}

// isDatabase reports whether a name can be one that database made, for whatever tenant.
func (n names) isDatabase(name string) bool {
	rest, ok := strings.CutPrefix(name, n.prefix)
	return ok && digest.MatchString(rest)
}

// template names a template by its key and by the version of what we put into each ourselves.
func (n names) template(key string) string { return n.templateAs("t", key) }

// building names the database in which a template is being made.
func (n names) building(key string) string { return n.templateAs("b", key) }

// buildingKey reads the key back from a name that building made, in this or an older version.
func (n names) buildingKey(name string) (key string, ok bool) {
	rest, ok := strings.CutPrefix(name, n.prefix+"b_")
	if !ok {
		return "", false
	}
	key, _, ok = strings.Cut(rest, "_f")
	return key, ok && plainKey.MatchString(key)
}

func (n names) templateAs(kind, key string) string {
	return fmt.Sprintf("%s%s_%s_f%d", n.prefix, kind, key, furnishVersion)
}

// hashed is 128 bits in 26 characters; the parts are kept apart by their lengths.
func hashed(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return base32Lower.EncodeToString(h.Sum(nil)[:16])
}

// lockKey is the advisory lock of a name.
func lockKey(name string) int64 {
	sum := sha256.Sum256([]byte("kitshub " + name))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // any 64 bits will do
}

// quote makes an identifier, literal a string constant. Only names, markers and verifiers of our own making come here.
func quote(name string) string   { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
func literal(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }

// MarkerKind says what a database or role of ours is.
type MarkerKind string

// The kinds of marker. A database that carries none was being made when its maker died; nobody can ever have connected to it.
const (
	MarkTenant   MarkerKind = "tenant"
	MarkPool     MarkerKind = "pool"     // made and never handed out
	MarkDropping MarkerKind = "dropping" // being removed; whose it was stands beside it
	MarkTemplate MarkerKind = "template"
	MarkBuilding MarkerKind = "building"
	MarkRole     MarkerKind = "role"    // of the database that ID names
	MarkCluster  MarkerKind = "cluster" // a role that all databases share
	MarkNone     MarkerKind = ""
)

// Marker is the comment on a database or role that says whose it is. Nobody but the hub's own role can write it.
type Marker struct {
	Kind       MarkerKind
	ID         string // tenant, member, template key or database, by kind
	Generation int64  // of a tenant or member; for a template the Unix time of its last noted use
}

// tenantMarker is kitshub:<tenant id>:<generation>; the other kinds have a word in front.
func (m Marker) text(tag string) string {
	switch m.Kind {
	case MarkTenant:
		return fmt.Sprintf("kitshub:%s:%d%s", m.ID, m.Generation, tag)
	case MarkCluster:
		return "kitshub:cluster" + tag
	}
	return fmt.Sprintf("kitshub:%s:%s:%d%s", m.Kind, m.ID, m.Generation, tag)
}

// parseMarker reads a comment; false for what is not ours, or another installation's.
func (n names) parseMarker(comment string) (Marker, bool) {
	body, ok := strings.CutPrefix(comment, "kitshub:")
	if !ok {
		return Marker{}, false
	}
	at := strings.LastIndex(body, "@")
	tag := ""
	if at >= 0 {
		body, tag = body[:at], body[at:]
	}
	if tag != n.tag {
		return Marker{}, false
	}
	if body == "cluster" {
		return Marker{Kind: MarkCluster}, true
	}
	kind, part := MarkTenant, strings.Split(body, ":")
	if len(part) == 3 {
		switch MarkerKind(part[0]) {
		case MarkPool, MarkDropping, MarkTemplate, MarkBuilding, MarkRole:
			kind, part = MarkerKind(part[0]), part[1:]
		}
	}
	if len(part) != 2 {
		return Marker{}, false
	}
	g, err := strconv.ParseInt(part[1], 10, 64)
	return Marker{kind, part[0], g}, err == nil
}

// MemberPrefix begins the ids of a pool's members, so that a member can never be taken for a tenant.
const MemberPrefix = "mem_"

// isMember reports whether an id names a member of the pool.
func isMember(id string) bool { return strings.HasPrefix(id, MemberPrefix) }

// markerOf gives the marker that the backend's database must carry.
func markerOf(id string, generation int64) Marker {
	kind := MarkTenant
	if isMember(id) {
		kind = MarkPool
	}
	return Marker{kind, id, generation}
}

// place is the name of the cluster and of the database: "main/kh_…".
func (p *Provider) place(database string) string { return p.name + "/" + database }

// database reads a place back. It comes from the hub's own database, so it is believed no further than its form: which cluster, and a name
// that only we make. Whose that database is, its marker says; own reports a name that is the tenant's by itself, not one of the pool's.
func (p *Provider) database(b hub.Backend) (name string, own bool, err error) {
	if !plainID.MatchString(b.TenantID) || b.Generation < 1 {
		return "", false, &hub.StepError{Class: hub.ClassBug, Err: fmt.Errorf("tenant %.100q, generation %d cannot name a database", b.TenantID, b.Generation)}
	}
	mine := p.names.database(b.TenantID, b.Generation)
	cluster, name, ok := strings.Cut(b.Place, "/")
	if b.Provider != Name || !ok || cluster != p.name || !p.names.isDatabase(name) || len(name) > maxName {
		return "", false, &hub.StepError{Class: hub.ClassData, Err: fmt.Errorf(
			"the place of tenant %s is recorded as %.120q of provider %.20q, which is no database on cluster %q (%q would be); correct the record, nothing was touched",
			b.TenantID, b.Place, b.Provider, p.name, p.place(mine))}
	}
	return name, name == mine, nil
}
