// Package provider is the roof over the packages that make and reach tenants' databases, one package per kind: each implements hub.Provider and
// passes the conformance suite in providertest. It holds what those of Postgres share: how its errors are classed and how Supabase's roles and
// functions are stood in for. Which providers a hub has is decided in app.
package provider
