//go:build unix

// Package placekit is what the checks about the line share: a world (the built kitshub, its database, an API token), a line of any length written
// into that database as the store writes it, a client that asks quickly enough to be worth measuring with, and a bare net/http server in a
// process of its own as the baseline.
//
// Seeded customers are of a plan that operators serve, so nobody leaves the line but by the check's own hand. Three classes are mixed and
// enqueue times repeat, so that an order by one part of the key alone is wrong.
package placekit
