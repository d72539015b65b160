package hub

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Reconciling holds what is at the providers against what is on record here, and finds
//
//	orphan    it is there, and no row leads to it
//	ghost     a row says that it must be there, and it is missing
//	mismatch  it is there and on record, and marker, seal and record do not agree
//
// What is in flight is none of these. No grace period is needed for it: the row is written before the database is made and goes after it is
// gone, so whoever looks at the provider first and at the rows after it finds the row of everything that is being made; and who holds the lock
// of a thing shows in the survey. What was removed or handed over between the two looks is told by looking a second time: a finding counts
// only if both looks have it.

// FoundKind says what was found.
type FoundKind string

// The kinds.
const (
	FoundDatabase FoundKind = "database"
	FoundLogin    FoundKind = "login" // of the database at Place
	FoundBuild    FoundKind = "build" // a template in the making
)

// FoundState says how far it is, by the provider's own marks.
type FoundState string

// The states.
const (
	FoundWhole    FoundState = "whole"    // finished, and its marker names its owner
	FoundHalf     FoundState = "half"     // its maker died; nobody can ever have used it
	FoundDropping FoundState = "dropping" // being removed; the marker says whose it was
	FoundForeign  FoundState = "foreign"  // it has one of our names and not our marker
)

// Found is one thing at a provider that carries this hub's marker or one of its names.
type Found struct {
	Provider string
	Part     string // of the provider: a cluster's name, or ""
	Name     string // what it is called there
	Place    string // of a database as in Backend.Place; of a login that of its database
	Kind     FoundKind
	State    FoundState
	Owner    Backend  // whose its marker or name says it is: a tenant's or a member's; zero when it says nothing
	Open     bool     // a login that may log in; a file that is where its program looks for it
	Missing  []string // of a finished database: those of its logins that are not there
	Busy     bool     // somebody works on it right now
}

// Survey is what a provider has.
type Survey struct {
	Found []Found
	Parts []string // what the provider consists of, as prefixes of places
	Whole []string // the parts that were looked through to the end: what is not found under them is not there
}

// Reconciler is a provider that can show what it has, whoever it belongs to. Its methods may be repeated; none touches what is not as it says.
type Reconciler interface {
	Provider

	// Survey lists all that carries this hub's marker or names. With an error it gives the parts that could be asked.
	Survey(ctx context.Context) (Survey, error)

	// Peek opens a whole database without its credentials, only to read its identity. The caller closes.
	Peek(ctx context.Context, f Found) (*sql.DB, error)

	// Clear removes what was half made, and logins without a database; what belongs to somebody, or has come to since, is refused.
	Clear(ctx context.Context, f Found) error

	// Quarantine lets nobody but the hub reach the database any more, and loses nothing; Release undoes it, and makes logins that are not there
	// from the credentials.
	Quarantine(ctx context.Context, b Backend) error
	Release(ctx context.Context, b Backend, c Credentials) error
}

// Renamer is a Reconciler on whose servers others may give a database another name.
type Renamer interface {
	// Rename gives b's database, found under another name in the part of its place, the name of its place back. What is not b's by its marker
	// is refused, and so is a name that something has.
	Rename(ctx context.Context, f Found, b Backend) error
}

// The kinds of finding.
const (
	Orphan   = "orphan"
	Ghost    = "ghost"
	Mismatch = "mismatch"
)

// FindingKinds lists them.
var FindingKinds = []string{Orphan, Ghost, Mismatch}

// Finding is one thing that is not as it should be.
type Finding struct {
	Kind        string
	What        FoundKind
	Provider    string
	Place       string
	Name        string
	Tenant      string // tenant or member that the record, the marker or the seal names
	Problem     string // one sentence
	Fix         string // the next step, one sentence
	Quarantined bool   // nobody can log in: it was set aside, and waits for a decision
	Done        string // removed, dropped, quarantined or adopted; empty: it is as it was
	Error       string // why it could not be done

	found   Found
	mend    mend
	surely  bool // half made or never anybody's, and ours: the periodic scan removes it
	sealing bool // it may be dropped only if the seal inside, where there is one, is this hub's and names its owner
}

// Left reports whether somebody still has to act.
func (f *Finding) Left() bool { return f.Done == "" && !f.Quarantined }

// mend says which of an operator's ways serves a finding.
type mend int

const (
	byPeople     mend = iota
	byRemoval         // clear or drop; or quarantine, where it is a database
	byAdoption        // its record is corrected; or, of a login, it is let in again
	byRenaming        // it gets the name that its record and its logins have
	byForgetting      // a ghost of the pool: its row goes
)

// key tells findings of two looks apart.
func (f *Finding) key() [5]string {
	return [5]string{f.Kind, string(f.What), f.Provider, f.Place + " " + f.Name, f.Tenant + f.Problem}
}

// Reconciliation is what a run found and did.
type Reconciliation struct {
	Findings []Finding
	Seen     int      // databases, logins and builds that were looked at
	Rows     int      // tenants and members of the pool that were held against them
	Seals    int      // databases whose seal was read
	Unknown  []string // what could not be looked at, and why
	AsOf     time.Time
}

// Left counts what still needs somebody: findings that are as they were, and what could not be looked at.
func (r *Reconciliation) Left() int {
	n := len(r.Unknown)
	for i := range r.Findings {
		if r.Findings[i].Left() {
			n++
		}
	}
	return n
}

// records are the rows that are held against a survey.
type records struct {
	tenants map[string]*Tenant
	members map[string]*Member
	places  map[[2]string]*Tenant // by provider and place, those that are not purged
	names   map[[2]string]*Tenant // the same by provider and name, in whatever part
	now     time.Time
}

const rowsAtOnce = 500

func (s *Service) records(ctx context.Context) (*records, error) {
	return view(ctx, s, func(tx Tx) (*records, error) {
		r := &records{tenants: map[string]*Tenant{}, members: map[string]*Member{}, places: map[[2]string]*Tenant{}, names: map[[2]string]*Tenant{}, now: tx.Now()}
		for f := (TenantFilter{Limit: rowsAtOnce}); ; {
			some, err := tx.ListTenants(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, t := range some {
				r.tenants[t.ID] = t
				if t.State != TenantPurged {
					r.places[[2]string{t.Backend.Provider, t.Backend.Place}] = t
					r.names[[2]string{t.Backend.Provider, nameAt(t.Backend.Place)}] = t
				}
				f.After = t.ID
			}
			if len(some) < rowsAtOnce {
				break
			}
		}
		members, err := tx.ListMembers(ctx)
		for _, m := range members {
			r.members[m.ID] = m
		}
		return r, err
	})
}

// nameAt is the last part of a place, which a provider's parts come before.
func nameAt(place string) string { return place[strings.LastIndex(place, "/")+1:] }

// member finds a member of the pool by its place.
func (r *records) member(provider, place string) *Member {
	for _, m := range r.members {
		if m.Backend.Provider == provider && m.Backend.Place == place {
			return m
		}
	}
	return nil
}

// inspect holds one provider against the rows.
type inspect struct {
	s      *Service
	p      Reconciler
	survey Survey
	rec    *records
	out    []Finding
	byAt   map[string]Found // databases by place
	opens  map[string]bool  // places of databases whose logins are known: whether one of them is open
	marked map[Backend]bool // of whom there is a finished database, wherever: their Place is left out
}

func (s *Service) inspect(p Reconciler, v Survey, rec *records) []Finding {
	i := &inspect{s: s, p: p, survey: v, rec: rec, byAt: map[string]Found{}, opens: map[string]bool{}, marked: map[Backend]bool{}}
	for _, f := range v.Found {
		if f.Kind == FoundDatabase && f.State == FoundWhole {
			i.marked[unplaced(f.Owner)] = true
		}
		switch {
		case f.Kind == FoundDatabase && f.Place != "":
			i.byAt[f.Place] = f
		case f.Kind == FoundLogin && f.State != FoundForeign:
			i.opens[f.Place] = i.opens[f.Place] || f.Open
		}
	}
	for _, f := range v.Found {
		switch {
		case f.Busy:
		case f.Kind == FoundBuild:
			i.add(f, Finding{Kind: Orphan, mend: byRemoval, surely: true, Problem: "A template was being built when its hub died."})
		case f.Kind == FoundLogin:
			i.login(f)
		default:
			i.database(f)
		}
	}
	i.rows()
	return i.out
}

// unplaced is whose a database is, wherever it is.
func unplaced(b Backend) Backend {
	b.Place = ""
	return b
}

// local reports whether the databases are files, which have no logins.
func (i *inspect) local() bool {
	_, local := i.p.(Mover)
	return local
}

// restoring says how people bring back what the hub has lost: it keeps no copies.
func (i *inspect) restoring() string {
	if i.local() {
		return "Put the tenant's file back from a backup; the hub has no other copy."
	}
	return "Restore it from a backup with its comment and its logins (pg_dump --create, pg_dumpall --roles-only); the hub has no other copy."
}

func (i *inspect) add(f Found, x Finding) {
	x.What, x.Provider, x.Place, x.Name = f.Kind, f.Provider, f.Place, f.Name
	if x.found.Kind == "" {
		x.found = f
	}
	if x.Tenant == "" {
		x.Tenant = f.Owner.TenantID
	}
	if f.State == FoundWhole && x.mend == byRemoval {
		open, logins := i.opens[f.Place]
		x.Quarantined = !f.Open || !open && (logins || !i.local())
	}
	switch {
	case x.Fix != "":
	case x.mend == byRemoval && x.surely:
		x.Fix = "The hub removes it by itself within minutes; kitshub reconcile --drop does it now."
	case x.mend == byRemoval && f.Kind == FoundDatabase && x.Quarantined:
		x.Fix = "kitshub reconcile --drop removes it."
	case x.mend == byRemoval && f.Kind == FoundDatabase:
		x.Fix = "kitshub reconcile --quarantine shuts it, --drop removes it."
	case x.mend == byAdoption:
		x.Fix = "kitshub reconcile --adopt gives it back."
	}
	i.out = append(i.out, x)
}

const foreignFix = "Rename or drop it by hand; the hub does not touch it."

// login: one without its database is of no use to anybody, unless the database is about to be made, or has another name or cluster now.
func (i *inspect) login(f Found) {
	t := i.rec.places[[2]string{f.Provider, f.Place}]
	db, there := i.byAt[f.Place]
	if f.State == FoundForeign {
		x := Finding{Kind: Orphan, Problem: "It has the name of a database's login and not the hub's marker, so somebody else made it or took its comment away.", Fix: foreignFix}
		if t != nil {
			x.Kind, x.Tenant = Mismatch, t.ID
			x.Fix = "Rename or drop it by hand; then kitshub reconcile --adopt makes an active tenant's own again."
		}
		i.add(f, x)
		return
	}
	if there {
		if t != nil && t.State == TenantActive && !f.Open {
			i.add(f, Finding{Kind: Mismatch, Tenant: t.ID, mend: byAdoption, found: db, Problem: "Its tenant is active, but the login is shut."})
		}
		return
	}
	if t == nil && i.rec.member(f.Provider, f.Place) == nil && !i.displaced(f) {
		i.add(f, Finding{Kind: Orphan, mend: byRemoval, surely: true, Problem: "A login whose database is gone."})
	}
}

// displaced reports a login of a name that a tenant's record has in another part, where that tenant's database is not.
func (i *inspect) displaced(f Found) bool {
	t := i.rec.names[[2]string{f.Provider, nameAt(f.Place)}]
	if t == nil {
		return false
	}
	_, there := i.byAt[t.Backend.Place]
	return !there
}

func (i *inspect) database(f Found) {
	at := i.rec.places[[2]string{f.Provider, f.Place}]
	switch f.State {
	case FoundForeign:
		x := Finding{Kind: Orphan, Problem: "It has one of the hub's names and not its marker, so somebody else made it.", Fix: foreignFix}
		if at != nil {
			x.Kind, x.Tenant = Mismatch, at.ID
		}
		i.add(f, x)
	case FoundHalf:
		switch {
		case at != nil && at.State.kept():
			i.add(f, Finding{Kind: Mismatch, Tenant: at.ID, Problem: "Its tenant is " + string(at.State) + ", but the database was never finished.", Fix: "Drop it by hand, then: " + i.restoring()})
		case at == nil && i.rec.member(f.Provider, f.Place) == nil:
			i.add(f, Finding{Kind: Orphan, mend: byRemoval, surely: true, Problem: "It was being made when its hub died, and nobody ever used it."})
		}
	case FoundDropping:
		t, m := i.rec.tenants[f.Owner.TenantID], i.rec.members[f.Owner.TenantID]
		switch {
		case t != nil && t.State.kept():
			i.add(f, Finding{Kind: Mismatch, Problem: "Its tenant is " + string(t.State) + ", but it was being removed.", Fix: "Find out who removed it; restore the tenant's backup."})
		case (t == nil || t.State == TenantPurged) && m == nil && at == nil:
			i.add(f, Finding{Kind: Orphan, mend: byRemoval, surely: true, Problem: "It was being removed when its hub died."})
		}
	case FoundWhole:
		if strings.HasPrefix(f.Owner.TenantID, MemberPrefix) {
			i.pooled(f, at)
		} else {
			i.owned(f, at)
		}
	}
}

// pooled is a database that was made for the pool and is not marked as handed out.
func (i *inspect) pooled(f Found, at *Tenant) {
	m := i.rec.members[f.Owner.TenantID]
	switch {
	case m != nil && m.Backend.Place != f.Place:
		i.add(f, Finding{Kind: Mismatch, Problem: "The record has this member of the pool at " + m.Backend.Place + ".", Fix: "Find out which of the two is wrong."})
	case m != nil, at != nil && !at.State.kept(): // waiting, or on its way to a tenant
	case at != nil:
		i.add(f, Finding{Kind: Mismatch, Tenant: at.ID, Problem: "Its tenant is " + string(at.State) + ", but it is still marked as one of the pool's.", Fix: "Find out which of the two is wrong."})
	default:
		i.add(f, Finding{Kind: Orphan, mend: byRemoval, surely: true, sealing: true, Problem: "It was made for the pool and never handed out, and the record does not know it."})
	}
}

// owned is a finished database that is marked as a tenant's.
func (i *inspect) owned(f Found, at *Tenant) {
	t := i.rec.tenants[f.Owner.TenantID]
	switch {
	case f.Place == "" && (t == nil || t.State == TenantPurged):
		i.add(f, Finding{Kind: Orphan, Problem: "It is marked as a tenant's that the record does not know, under a name that the hub gives to none.", Fix: foreignFix})
	case t == nil && at != nil:
		i.add(f, Finding{Kind: Mismatch, Problem: "The record has tenant " + at.ID + " here.", Fix: "Find out which of the two is wrong."})
	case t == nil:
		i.add(f, Finding{Kind: Orphan, mend: byRemoval, sealing: true, Problem: "It is marked as a tenant's that the record does not know."})
	case t.State == TenantPurged && at == nil:
		i.add(f, Finding{Kind: Orphan, mend: byRemoval, sealing: true, Problem: "The record says that it was removed."})
	case t.Backend.Provider != f.Provider || t.Backend.Place != f.Place:
		i.displacedDatabase(f, t)
	case t.Backend.Generation != f.Owner.Generation:
		i.add(f, Finding{Kind: Mismatch, Problem: fmt.Sprintf("The record has generation %d of this tenant, the marker says %d.", t.Backend.Generation, f.Owner.Generation), Fix: "Find out which of the two is the customer's."})
	default:
		for _, login := range f.Missing {
			if t.State == TenantActive {
				gone := Found{Provider: f.Provider, Part: f.Part, Name: login, Place: f.Place, Kind: FoundLogin}
				i.add(gone, Finding{
					Kind: Mismatch, Tenant: t.ID, mend: byAdoption, found: f, Problem: "Its tenant is active, but the login is missing.",
					Fix: "kitshub reconcile --adopt makes it again with the password that the customer has, if the seal inside is the tenant's.",
				})
			}
		}
		if m, ok := i.p.(Mover); ok && t.State.kept() && !i.here(m, t) {
			i.add(f, Finding{Kind: Mismatch, Problem: "The tenant's connection details lead to another directory than this file's.", Fix: "Find out which of the two the customer uses: DATA_DIR may have been moved, or another hub has made the database."})
		}
	}
}

// displacedDatabase is marked as a tenant's whom the record has elsewhere. Its logins have the name on record, and what the customer holds names
// these, so on the same cluster the database is what has the wrong name; of the right name on another cluster, the record is wrong.
func (i *inspect) displacedDatabase(f Found, t *Tenant) {
	x := Finding{Kind: Mismatch, Problem: "The record has this tenant at " + t.Backend.Place + ".", Fix: "Find out which of the two is the customer's."}
	_, there := i.byAt[t.Backend.Place]
	unasked := under(t.Backend.Place, i.survey.Parts) && !under(t.Backend.Place, i.survey.Whole)
	_, renames := i.p.(Renamer)
	name := nameAt(t.Backend.Place)
	switch {
	case there || unasked || unplaced(t.Backend) != unplaced(f.Owner):
	case f.Place != "" && (i.local() || nameAt(f.Place) == name):
		x.mend, x.Fix, x.sealing = byAdoption, "kitshub reconcile --adopt corrects the record, if the seal inside is the tenant's.", true
	case f.Place != "" && renames && under(t.Backend.Place, []string{f.Part + "/"}):
		x.mend, x.Fix, x.sealing = byRenaming, "kitshub reconcile --adopt gives it the name on record back, if the seal inside is the tenant's.", true
	default:
		x.Fix = fmt.Sprintf("If it is the customer's, ALTER DATABASE %q RENAME TO %q; then look again.", f.Name, name)
	}
	i.add(f, x)
}

// rows looks for what should be there and is not.
func (i *inspect) rows() {
	for _, t := range i.rec.tenants {
		if t.Backend.Provider != i.p.Name() || !t.State.kept() {
			continue
		}
		if _, there := i.byAt[t.Backend.Place]; there || i.marked[unplaced(t.Backend)] { // or elsewhere, which is a finding of its own
			continue
		}
		gone := Found{Provider: t.Backend.Provider, Place: t.Backend.Place, Kind: FoundDatabase, Owner: t.Backend}
		m, moves := i.p.(Mover)
		switch {
		case under(t.Backend.Place, i.survey.Whole) && (!moves || i.here(m, t)):
			i.add(gone, Finding{Kind: Ghost, Problem: "The tenant is " + string(t.State) + ", but its database is missing.", Fix: i.restoring()})
		case !under(t.Backend.Place, i.survey.Parts):
			i.add(gone, Finding{Kind: Mismatch, Problem: "Its cluster is not set up here.", Fix: "Set the cluster's TENANT_DATABASE_URL_<NAME>."})
		}
	}
	for _, m := range i.rec.members {
		if m.Backend.Provider != i.p.Name() || m.State != MemberReady {
			continue
		}
		_, there := i.byAt[m.Backend.Place]
		if !there && under(m.Backend.Place, i.survey.Whole) {
			gone := Found{Provider: m.Backend.Provider, Place: m.Backend.Place, Kind: FoundDatabase, Owner: m.Backend}
			i.add(gone, Finding{Kind: Ghost, mend: byForgetting, surely: true, Problem: "A member of the pool is missing.", Fix: "The hub forgets it and makes another."})
		}
	}
}

// under reports whether a place is in one of the parts.
func under(place string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.HasPrefix(place, part) })
}

// here reports whether the tenant's database lies with this hub.
func (i *inspect) here(m Mover, t *Tenant) bool {
	c, err := i.s.openCredentials(t)
	if err != nil {
		return false
	}
	at, err := m.Here(t.Backend)
	return err == nil && at.URL == c.URL
}

// kept reports whether a tenant in this state has a database, always.
func (s TenantState) kept() bool {
	return s == TenantActive || s == TenantSuspended || s == TenantRetained
}
