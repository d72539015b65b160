// Package inspect says whether a tenant's database is what the catalog's files promise, without believing the pipeline in anything: it reads
// the catalog's folder by its own few lines, runs the SQL on an empty database by itself (SQLite in memory, Postgres on the same server), and
// compares what the engine reports about the two: tables, columns, constraints, indexes, triggers, policies, functions, types, the rows of the
// seeds, and the ledger. On Postgres it looks with the customer's own login, which must have no power beyond its database, and as a stranger,
// who must see nothing.
//
// It must not import the packages it judges (hub, catalog, tenantdb, provider): a mistake made there would be made here too. Its test holds that.
package inspect
