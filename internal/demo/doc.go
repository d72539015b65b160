// Package demo is `kitshub demo`: the main job, run whole on a throwaway hub and checked from outside.
//
// It starts the same binary as a child process with a data directory, an address and an environment of its own (never the caller's DATA_DIR
// or DATABASE_URL), signs customers up over HTTP, plays the operator for the plans that want one, follows each customer's status stream until
// the database is ready, asks for the connection details as the customer would, opens the database and compares it with the catalog's text.
// On Postgres it also tries each customer's login on a neighbour's database and on the hub's own, which must be refused.
// The comparison (internal/proof/inspect) shares no code with the pipeline.
//
// time_to_ready runs from the instant before the sign-up is sent, by this process's clock, to the end of the last step, as the hub's status
// document says it; both are clocks of this machine.
package demo
