// Package hub is the domain: the nouns of onboarding and provisioning, their rules, the use cases, and the ports that adapters implement.
// It knows no database, no HTTP and no clock of its own, and imports the standard library only.
//
// A request's life:
//
//	pending ──claim──▶ in_progress ──credentials──▶ credentials_received ──start──▶ migrating ──complete──▶ completed
//	   ▲                  │   ▲                            ▲                           │
//	   └────release───────┘   └──────claim───┐             └────retry────── failed ◀───┘ (fail: also from in_progress and
//	   ▲                                     └───────────────────────────────┤            credentials_received)
//	   └──────────────────retry of a failure without credentials─────────────┘
//
//	cancelled: from pending, in_progress, credentials_received and failed. completed and cancelled are final.
//
// Every change is one transaction with its audit entry and its job. Steps inside a tenant's database are made exactly once by the ledger
// there (see backend.go); here a run of the pipeline holds a lease on its request (see lease.go) and each result is fenced.
package hub
