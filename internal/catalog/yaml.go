package catalog

import (
	"errors"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// at is a YAML value that remembers its line, so that a problem found later can point to it.
type at[T any] struct {
	Value T
	Line  int // 0 when the file does not say it
}

// UnmarshalYAML implements yaml.NodeUnmarshaler.
func (a *at[T]) UnmarshalYAML(n ast.Node) error {
	if t := n.GetToken(); t != nil && t.Position != nil {
		a.Line = t.Position.Line
	}
	return yaml.NodeToValue(n, &a.Value, yaml.Strict())
}

type plansFile struct {
	Plans []planEntry `yaml:"plans"`
}

type planEntry struct {
	ID           at[string]   `yaml:"id"`
	Name         at[string]   `yaml:"name"`
	Description  string       `yaml:"description"`
	Priority     at[int]      `yaml:"priority"`
	PriceMonthly at[int]      `yaml:"price_monthly"`
	PriceYearly  at[int]      `yaml:"price_yearly"`
	Features     []at[string] `yaml:"features"`
	Provisioning at[string]   `yaml:"provisioning"`
	SLA          at[string]   `yaml:"sla"`
}

type featureFile struct {
	Name        at[string]   `yaml:"name"`
	Title       at[string]   `yaml:"title"`
	Description string       `yaml:"description"`
	DependsOn   []at[string] `yaml:"depends_on"`
	Position    *int         `yaml:"position"`
}

// decode reads one YAML file strictly; a problem becomes a finding with line and excerpt.
func decode(file string, data []byte, into any) *Finding {
	err := yaml.UnmarshalWithOptions(data, into, yaml.Strict())
	if err == nil {
		return nil
	}
	f := &Finding{File: file, Line: 1, Rule: RuleYAML, Message: err.Error(), Fix: "Correct the file; docs/catalog.md lists the fields."}
	var at yaml.Error
	if errors.As(err, &at) {
		f.Message = strings.TrimSuffix(at.GetMessage(), ".")
		if t := at.GetToken(); t != nil && t.Position != nil {
			f.Line = t.Position.Line
			// The library's text is "[line:column] message" and then the lines around with a caret; the message is already told.
			if _, excerpt, ok := strings.Cut(at.FormatError(false, true), "\n"); ok {
				f.Excerpt = excerpt
			}
		}
	}
	return f
}
