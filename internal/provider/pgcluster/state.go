package pgcluster

import (
	"context"
	"fmt"

	"github.com/kitshub/kitshub/internal/hub"
)

// state is what the cluster has under one name.
type state struct {
	exists  bool
	open    bool // connections are allowed: it was finished
	ours    bool // owned by the role we are
	spoiled bool // a DROP DATABASE was interrupted in the middle: it can be dropped, and nothing else be done with it
	comment string
	marker  Marker
	known   bool // the comment is a marker of this installation

	owner, runtime roleState
}

type roleState struct {
	exists bool
	mine   bool // marked as this database's
	shown  string
}

// look reads the state of a database and its roles. What it says holds while the lock of the name is held.
func (a *admin) look(ctx context.Context, name string) (s state, err error) {
	var ownerSays, runtimeSays string
	err = a.row(ctx, `SELECT d.oid IS NOT NULL, coalesce(d.datallowconn, false), coalesce(pg_get_userbyid(d.datdba) = current_user, false),
			coalesce(d.datconnlimit = -2, false), coalesce(shobj_description(d.oid, 'pg_database'), ''),
			o.oid IS NOT NULL, coalesce(shobj_description(o.oid, 'pg_authid'), ''), r.oid IS NOT NULL, coalesce(shobj_description(r.oid, 'pg_authid'), '')
		FROM (SELECT 1) one
		LEFT JOIN pg_database d ON d.datname = $1::name
		LEFT JOIN pg_roles o ON o.rolname = $2::name
		LEFT JOIN pg_roles r ON r.rolname = $3::name`, []any{name, name + ownerSuffix, name + runtimeSuffix},
		&s.exists, &s.open, &s.ours, &s.spoiled, &s.comment, &s.owner.exists, &ownerSays, &s.runtime.exists, &runtimeSays)
	if err != nil {
		return s, err
	}
	n := a.p.names
	s.marker, s.known = n.parseMarker(s.comment)
	role := Marker{Kind: MarkRole, ID: name}.text(n.tag)
	s.owner.mine, s.owner.shown = ownerSays == role, ownerSays
	s.runtime.mine, s.runtime.shown = runtimeSays == role, runtimeSays
	return s, nil
}

// abandoned reports a database that was being made when its maker died: closed, without a marker, and made by us. Nobody can ever have
// connected to it.
func (s state) abandoned() bool { return s.exists && !s.open && s.comment == "" && s.ours }

// foreignRole refuses a database one of whose roles is there and not ours.
func (s state) foreignRole(name string) error {
	switch {
	case s.owner.exists && !s.owner.mine:
		return wrongRole(name+ownerSuffix, s.owner.shown)
	case s.runtime.exists && !s.runtime.mine:
		return wrongRole(name+runtimeSuffix, s.runtime.shown)
	}
	return nil
}

// wrongRole refuses a role of our name that is not ours.
func wrongRole(role, says string) error {
	return &hub.StepError{Class: hub.ClassData, Code: "FOREIGN_ROLE", Err: fmt.Errorf(
		"there is a role %s on the cluster that the hub did not make (its comment is %.80q); it was not touched: rename or drop it, then retry", role, says)}
}
