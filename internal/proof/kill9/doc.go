// Package kill9 shows that an acknowledged sign-up survives kill -9 of the hub at any instant, exactly once.
//
// The hub runs as a process under load: customers sign up (some with an Idempotency-Key), operators claim, release and give credentials. It is
// killed at instants drawn from the seed, most of them in the middle of a volley of calls, and started again on the same data. What was
// acknowledged is recorded here, in this process, which is never killed. A call that got no answer is made again: one with a key must then
// succeed exactly once; one without may find that it had its effect.
//
// After each kill the states of all requests are counted in what the dead hub left: on SQLite in a copy of its file and log, so that looking
// does not recover the database in the victim's place; on Postgres in the database itself. A state counts for a kill when at least one
// request stood in it.
//
// With -engine postgres hub and tenants are on one cluster; every fourth kill is aimed at the making of a database, which no transaction covers.
// What is left half made is looked for after each kill; a minute after the last start nothing may be on the cluster that belongs to nobody
// (pgkit.Census).
//
// In the end everybody must be ready: each acknowledged customer once by email, by request and by tenant, seen over the API with the operator's
// eyes, with the customer's own status link and in the database; no file or database without a tenant and no tenant without one; every one equal
// to the catalog's text (internal/proof/inspect).
//
// A copy of a golden file applies all steps at once, so kills between steps need a plan that cannot be copied. The hub therefore gets the
// built-in catalog and one plan more, "stepwise": its first script refuses to run in a golden file, so the pipeline goes step by step, and
// each step counts its own effect in a table without a key. Each count must be one.
package kill9
