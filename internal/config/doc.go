// Package config reads the hub's settings from the environment and says everything that is wrong with them at once.
//
// One table (settings.go) is the only place that knows a variable: its name, its defaults, how it is read and what
// docs/config.md says about it. [Load] walks that table, then checks what concerns several variables together
// (check.go). A new setting is a field of [Config], a row of the table and `make gen`.
//
// What it does not do: it opens nothing, connects to nothing and creates nothing. Whether a key opens the keyring, a
// database answers or a catalog is sound is for the packages that own those things. Variables that it does not know are
// ignored, since an environment is shared with everything else on a machine.
//
// No message of this package holds a value that was read: a password pasted into the wrong variable must not end in a log.
package config

//go:generate go test . -run TestDocumentIsFresh -update
