// Package inspect says whether a tenant's SQLite file is what the catalog's files promise, without believing the pipeline in anything: it
// reads the catalog's folder by its own few lines, runs the SQL on an empty database in memory by itself, and compares what the engine reports
// about the two: tables, columns, primary and foreign keys, indexes, triggers, the rows of the seeds, and the ledger.
//
// It must not import the packages it judges (hub, catalog, tenantdb, provider): a mistake made there would be made here too. Its test holds that.
package inspect
