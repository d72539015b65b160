// Package external takes databases that an operator brings: Manual by a connection string, Supabase by a project's fields. It makes no database
// and drops none; it implements hub.Bringer.
//
// # Nothing but what was given
//
// A connection string is read by parse, which knows a few keys and refuses the rest, and pgx is configured field by field from what was read
// (see connect.go): its own reading of strings, environment, service and password files has no part in it. Every connection goes through the
// egress package's dialer, which checks each address that a host resolves to.
//
// # The trial
//
// examine is the one test: when credentials are given, when they are only tried, and again as the pipeline's first step. What it refuses has not
// been touched. A database is taken if there is nothing in it, or this tenant's seal.
//
// # One role
//
// The role that was given is the pipeline's and the customer's alike, since there may be no right to make another. Row-level security is forced
// in the catalog, so it holds the tables' owner too.
//
// # Giving back
//
// Drop removes what the pipeline made and nothing else; how the two are told apart is in drop.go and in decision 0009.
//
// # What it does not do
//
// It has no budget of connections (each backend is a server of its own), makes no templates and no pool, and checks no seal's MAC: that a seal
// which says this tenant was written by this hub, the hub verifies when the pipeline begins.
package external
