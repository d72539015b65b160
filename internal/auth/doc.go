// Package auth holds the pure craft of logging in: hashing passwords (hasher.go), judging new ones (policy.go) and making
// tokens (token.go).
//
// What it does not do: it knows no operators, sessions or cookies, stores nothing and limits no rate; hub decides who may
// do what, web limits how often. It writes nothing to a log, and no error of it holds a password or a token.
//
// Passwords are brought into Unicode's NFC first, since keyboards differ in how they compose an "é", and are counted in
// code points (NIST SP 800-63B-4, 3.1.1.2).
package auth
