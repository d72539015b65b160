//go:build sabotage

package pgcluster

// The planted bug: whoever drops a database leaves its roles. Only "proof … -sabotage" builds with this tag, to show that its check can fail.
const rolesGoToo = false
