package config

import "strings"

// Markdown gives docs/config.md, made from the table that Load walks.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Generated from internal/config/settings.go by "make gen". Edit there. -->

The hub reads its settings from environment variables, once, at start. An empty variable counts as not set, one that is
not listed here is ignored. A bad configuration stops the start with exit code 78 and one line for every problem at once,
naming the variable and the next step, never the value.

| variable | default in development | in production (` + "`APP_ENV=production`" + `) | what it is |
| --- | --- | --- | --- |
`)
	for _, s := range table {
		dev := s.Shown
		if dev == "" {
			dev = "`" + s.Default + "`"
		}
		prod := "the same"
		if s.ProductionDefault == Required {
			prod = "**required**"
		} else if s.ProductionDefault != "" {
			prod = "`" + s.ProductionDefault + "`"
		}
		doc := strings.ReplaceAll(s.Doc, "|", `\|`)
		b.WriteString("| `" + s.Name + "` | " + dev + " | " + prod + " | " + doc + " |\n")
	}
	b.WriteString(`
Durations are written with their unit (` + "`500ms`, `30s`, `5m`" + `). Special characters in the password part of an address are
percent-encoded (` + "`@` is `%40`" + `).
`)
	return b.String()
}
