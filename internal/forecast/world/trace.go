package world

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// The kinds of worlds: what may change in them, and whether it is said beforehand.
const (
	Steady  = "steady"
	Planned = "planned"
	Sudden  = "sudden"
)

// World is everything that happens to a line, whoever forecasts it.
type World struct {
	Name      string     `json:"-"`
	Kind      string     `json:"kind"`
	Servers   []Staffing `json:"servers"`
	Customers []Customer `json:"-"` // in order of arrival
	// ChangesAt are the times of changes without a word that the servers do not show, such as slower service.
	ChangesAt []float64 `json:"changes_s,omitempty"`
}

// Staffing is the number of servers from a time on.
type Staffing struct {
	At        float64 `json:"at_s"`
	Count     int     `json:"count"`
	Announced bool    `json:"announced"`
}

// Customer is one customer; times in seconds.
type Customer struct {
	Arrive  float64 `json:"arrive_s"`
	Plan    string  `json:"plan"`
	Service float64 `json:"service_s"`
}

// Limits of a trace: what is beyond is a mistake, not a world.
const (
	maxLine    = 1 << 20
	maxSeconds = 1e9
	maxServers = 10_000
)

// Read reads a trace as JSON Lines: the world first, then a line per customer in order of arrival. Empty lines are passed over, members
// that it does not know too, so that traces may carry notes. The error names the line.
func Read(r io.Reader) (*World, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	w, n := (*World)(nil), 0
	for lines.Scan() {
		n++
		text := bytes.TrimSpace(lines.Bytes())
		if n == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if len(text) == 0 {
			continue
		}
		var err error
		if w == nil {
			w, err = readWorld(text)
		} else {
			err = w.readCustomer(text)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	if w == nil {
		return nil, errors.New("the trace is empty: its first line tells kind and servers")
	}
	return w, nil
}

func readWorld(text []byte) (*World, error) {
	var w World
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, err
	}
	switch w.Kind {
	case Steady, Planned, Sudden:
	default:
		return nil, fmt.Errorf("kind %q is none of steady, planned and sudden", w.Kind)
	}
	if len(w.Servers) == 0 {
		return nil, errors.New("servers is missing: one entry at least, in order of at_s")
	}
	last := math.Inf(-1)
	for _, s := range w.Servers {
		if math.Abs(s.At) > maxSeconds || s.At < last || s.Count < 0 || s.Count > maxServers {
			return nil, fmt.Errorf("servers: at_s %v, count %d: times ascend, counts are 0 to %d", s.At, s.Count, maxServers)
		}
		last = s.At
	}
	return &w, nil
}

func (w *World) readCustomer(text []byte) error {
	var c struct {
		Arrive  *float64 `json:"arrive_s"`
		Plan    string   `json:"plan"`
		Service *float64 `json:"service_s"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	switch {
	case c.Arrive == nil || c.Service == nil:
		return errors.New("a customer has arrive_s, plan and service_s")
	case math.Abs(*c.Arrive) > maxSeconds || *c.Service < 0 || *c.Service > maxSeconds:
		return fmt.Errorf("arrive_s %v, service_s %v: seconds from 0 to %g", *c.Arrive, *c.Service, float64(maxSeconds))
	case len(w.Customers) > 0 && *c.Arrive < w.Customers[len(w.Customers)-1].Arrive:
		return fmt.Errorf("arrive_s %v is before the customer above it: they are in order of arrival", *c.Arrive)
	}
	w.Customers = append(w.Customers, Customer{*c.Arrive, c.Plan, *c.Service})
	return nil
}

// Write writes the trace that Read reads.
func (w *World) Write(out io.Writer) error {
	buf := bufio.NewWriter(out)
	enc := json.NewEncoder(buf)
	if err := enc.Encode(w); err != nil {
		return err
	}
	for i := range w.Customers {
		if err := enc.Encode(&w.Customers[i]); err != nil {
			return err
		}
	}
	return buf.Flush()
}

// Class is the priority of a plan, as the contract says; one it does not name has the lowest.
func Class(plan string) int {
	switch plan {
	case "enterprise":
		return 2
	case "professional":
		return 1
	default:
		return 0
	}
}
