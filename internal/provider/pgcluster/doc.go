// Package pgcluster makes tenants' databases on a Postgres cluster: a database and two roles each. It implements hub.Provider for one cluster;
// several clusters are several Providers (see Clusters), and a place begins with its cluster's name.
//
// # Names and markers
//
//	kh_<26>          a database: 128 bits of a digest of tenant id and generation, or of a pool member's id
//	kh_<26>_o, _r    its owner's and its runtime login
//	kh_t_<key>_f1    a template; kh_b_… while it is made
//	kh_owner, kh_app roles without login that all databases share
//
// Each database and role carries a comment, its marker, that says whose it is (kitshub:<tenant id>:<generation>, or kitshub:<kind>:…). It can
// be read before anything is touched and written by nobody but the hub's own role. A place that comes back from the hub's records leads to a
// database only if the marker there agrees. A second hub with data of its own on the same cluster takes another Installation, and with it
// another prefix.
//
// # Roles
//
// What is inside every database belongs to kh_owner, and what customers' programs may do in it is granted to kh_app, in the template already:
// so a copy is ready as it is, with no change of owners and no grants inside. Neither role has a login, and neither may connect to any
// database. A tenant's owner login is a member of kh_owner, its runtime login of kh_app and never of kh_owner; CONNECT on a database is taken
// from PUBLIC and given to its own two logins alone. So a neighbour is kept out at the door, which is the only one.
//
// Why the owner has a login, rather than the hub's own role with SET ROLE: a session of the hub's role stays one, and whatever runs in it, a
// script of the catalog, a function behind a trigger, can go back with RESET ROLE and reach every database. A session of the owner's login can
// go back to something that can reach this one database. The price is one more sealed password and a role. A template is built in the same way,
// by a login that is made with its database and goes when it is finished.
//
// Passwords are 160 random bits; the server is sent SCRAM verifiers that are computed here, so no statement and no log holds one. Supabase's
// roles anon, authenticated and service_role are made where they are missing, without login and without BYPASSRLS, and a schema auth answers
// auth.uid() as there; the runtime login may SET ROLE to those of them that the hub made.
//
// # Safe under kill -9
//
// Create is: CREATE DATABASE closed to everybody, then both roles with their marks, rights, the database's marker and its opening (one
// transaction). So a database that is closed and unmarked is one that nobody can ever have used, and is taken up or removed; any other without
// our marker is foreign and refused. Drop marks first. All of it is under an advisory lock of the name, in the maintenance database, which all
// hubs must share.
//
// # Templates
//
// A template is built by the pipeline's own steps in a database of another name, closed, rid of its sessions and then renamed, under a lock, so
// of several hubs one builds. It is not marked IS_TEMPLATE: that would let every role with CREATEDB copy it, and its owner may copy it without.
// The time of its last use stands in its marker.
//
// # The pool
//
// See pool.go. A hand-over renames nothing: an opaque name tells nothing, so it can stay.
//
// # Connections
//
// Every connection of the process to the cluster comes out of one budget. Nobody who uses a connection waits for another, but for one build of
// a template at a time, so the budget cannot lock itself up; idle ones are given up when somebody waits.
//
// # What it does not do
//
// It looks into no database: what is in it and whose seal it bears, package tenantdb knows. It decides nothing about orphans: List shows, the
// hub decides, Drop and Remove do. It sets up no server: Doctor says what is missing. The budget is per process; several hubs divide the
// server's connections by their settings.
package pgcluster
