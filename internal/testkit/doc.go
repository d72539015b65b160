// Package testkit holds what the tests of several packages need: a fresh database on either engine, a clock that
// stands still, a log, a browser. A test asks for what it needs and gets it or fails with the command that mends it; it is
// never skipped, since a test that did not run looks just like one that passed.
//
// Programs outside the tests use the parts below it that do not import testing: pgserver and debian.
package testkit
