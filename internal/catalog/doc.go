// Package catalog reads plans and features from files: the built-in ones or an operator's own folder.
//
// It loads a folder into a hub.Catalog (Load, Open, Builtin), reporting all structural problems at once with file and line; it lints a folder
// (Lint) by running its SQLite text in memory and parsing its Postgres text; it records the checksums of released migrations (Lock, WriteLock);
// and it splits SQL text into statements (Split). The folder's format is described in docs/catalog.md.
//
// It does not touch any tenant's database: applying scripts, the ledger and probes belong to package tenantdb. It does not read the lock when
// loading, either: an edited migration is a finding of Lint, and the ledger in each tenant's database refuses it.
package catalog
