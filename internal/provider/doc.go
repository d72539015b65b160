// Package provider is the roof over the packages that make and reach tenants' databases, one package per kind: each implements hub.Provider and
// passes the conformance suite in providertest. It holds no code itself; which providers a hub has is decided in app.
package provider
