package webui

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/forecast"
	"github.com/kitshub/kitshub/internal/hub"
)

// whatIfView is the operators' question how the line would move under another staffing, and its answer.
type whatIfView struct {
	Operators, Pool field
	Keep            []variable // the line's filter, so that the question does not lose it
	Clear           string     // address without the question, or empty where nothing was asked
	Ways            []whatIfWay
	Problem         *refusal
	err             error // for the answer's status
}

// whatIfWay answers for one way of making backends: as it is, and as asked.
type whatIfWay struct {
	Name    string
	Waiting string
	Lines   []whatIfLine
}

// whatIfLine is a forecast for whoever joins behind all who wait.
type whatIfLine struct {
	Label   string
	Asked   bool
	Servers int
	Times   []whatIfTime
	Why     string // nothing can be said, because
	Assumed bool
}

type whatIfTime struct{ Label, Value string }

// whatIf reads the question from the address and asks it. Without one nothing is computed: the console is loaded often.
func (u *ui) whatIf(ctx context.Context, q url.Values, f lineFilter) (whatIfView, error) {
	v := whatIfView{
		Operators: field{Name: "operators", Label: "Number of operators", Mode: "numeric", Value: q.Get("operators"), Half: true},
		Pool:      field{Name: "pool", Label: "Number of set-ups", Mode: "numeric", Value: q.Get("pool"), Half: true},
	}
	for name, values := range f.page() {
		v.Keep = append(v.Keep, variable{name, values[0]})
	}
	sortVariables(v.Keep)
	if strings.TrimSpace(v.Operators.Value+v.Pool.Value) == "" {
		return v, nil
	}
	v.Clear = address("/console", f.page())
	st := hub.Staffing{Operators: v.count(&v.Operators), Pool: v.count(&v.Pool)}
	if v.Operators.Error != nil || v.Pool.Error != nil {
		return v, nil
	}
	ways, err := u.Service.WhatIf(ctx, st)
	var e *hub.Error
	if errors.As(err, &e) && e.Cause == nil {
		v.mark(e)
		err = nil
	}
	for _, w := range ways {
		v.Ways = append(v.Ways, whatIfWayOf(w))
	}
	return v, err
}

// count reads a number that may be left out; then it is −1, and what is so stays.
func (v *whatIfView) count(f *field) int {
	text := strings.TrimSpace(f.Value)
	if text == "" {
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		v.mark(hub.FieldError(hub.CodeInvalidField, f.Name, "This is not a whole number from 0 on.", "Ask about a number you could have, or leave it empty."))
		return -1
	}
	return n
}

// mark shows what was refused at its field.
func (v *whatIfView) mark(e *hub.Error) {
	v.err = e
	wrong := e.Fields
	if len(wrong) == 0 {
		wrong = []*hub.Error{e}
	}
	for _, w := range wrong {
		said := &refusal{Code: string(w.Code), Message: w.Message, Fix: w.Fix}
		switch w.Field {
		case v.Operators.Name:
			v.Operators.Error = said
			inWords(said, v.Operators.Name, v.Operators.Label)
		case v.Pool.Name:
			v.Pool.Error = said
			inWords(said, v.Pool.Name, v.Pool.Label)
		default:
			v.Problem = said
		}
	}
}

func whatIfWayOf(w hub.WhatIf) whatIfWay {
	out := whatIfWay{Name: "Made by the hub", Waiting: "behind " + number(w.Waiting) + " who wait"}
	if w.Way == hub.ByOperator {
		out.Name = "Made by our people"
	}
	switch w.Waiting {
	case 0:
		out.Waiting = "nobody waits"
	case 1:
		out.Waiting = "behind 1 who waits"
	}
	out.Lines = []whatIfLine{whatIfLineOf("As it is", w.Now, w.AsIs), whatIfLineOf("As asked", w.Servers, w.Next)}
	out.Lines[1].Asked = true
	return out
}

func whatIfLineOf(label string, servers int, a forecast.Answer) whatIfLine {
	l := whatIfLine{Label: label, Servers: servers, Assumed: a.Basis == forecast.Prior}
	if a.Basis == forecast.Unknown {
		l.Why = a.Why
		return l
	}
	for _, t := range []struct {
		label string
		d     time.Duration
	}{{"Start p50", a.Start.P50}, {"Start p90", a.Start.P90}, {"Ready p50", a.Ready.P50}, {"Ready p90", a.Ready.P90}} {
		l.Times = append(l.Times, whatIfTime{t.label, soon(t.d)})
	}
	return l
}
