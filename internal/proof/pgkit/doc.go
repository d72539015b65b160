// Package pgkit is what the checks of tenants on Postgres share: a throwaway server with the rights that an operator would give the hub and no
// more, hubs on it, and a census that holds the cluster's own catalogs against the hub's tables.
//
// The server syncs what it commits. The hub's role may make databases and roles and is no superuser; the databases that every role could enter
// are closed to tenants as `kitshub doctor` says. The census reads pg_database, pg_roles and the comments on them by its own few lines, as the
// superuser, and shares no code with the provider that wrote them.
package pgkit
