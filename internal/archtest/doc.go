// Package archtest holds the architecture's rules as tests: who may import whom, how large things may get, what has
// to be documented, what tests may not do. The rules are those of docs/architecture.md; a change of one changes both.
//
// Each rule is a function from the parsed tree to findings, so that a test can run it on a small bad tree and see it
// fail. It reads source files only and starts no other program, so `go test` knows when its result is still fresh.
// It does not look at how code behaves; that is for the packages' own tests.
package archtest
