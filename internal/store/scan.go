package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"
)

// timeLayout is fixed in width, so that texts sort as their times do, on both engines.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// stamp is how a time is bound. A raw time.Time must never be: the drivers write it differently.
type stamp time.Time

// Value gives the fixed-width text.
func (s stamp) Value() (driver.Value, error) { return time.Time(s).UTC().Format(timeLayout), nil }

func stampOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return stamp(*t)
}

// scanTime reads a stamp.
type scanTime struct{ to *time.Time }

// Scan implements sql.Scanner.
func (s scanTime) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("a time is stored as text, not as %T", v)
	}
	t, err := time.Parse(timeLayout, text)
	*s.to = t
	return err
}

// scanTimeOrNull reads a stamp that may be missing.
type scanTimeOrNull struct{ to **time.Time }

// Scan implements sql.Scanner.
func (s scanTimeOrNull) Scan(v any) error {
	if v == nil {
		*s.to = nil
		return nil
	}
	var t time.Time
	if err := (scanTime{&t}).Scan(v); err != nil {
		return err
	}
	*s.to = &t
	return nil
}

// asJSON binds a value as JSON text; nil pointers become NULL.
type asJSON struct{ v any }

// Value implements driver.Valuer.
func (j asJSON) Value() (driver.Value, error) {
	b, err := json.Marshal(j.v)
	if err != nil || string(b) == "null" {
		return nil, err
	}
	return string(b), nil
}

// listJSON binds a list as a JSON array; nil is the empty one.
func listJSON(s []string) asJSON {
	if s == nil {
		s = []string{}
	}
	return asJSON{s}
}

// scanJSON reads JSON text into what to points at; NULL leaves it alone.
type scanJSON struct{ to any }

// Scan implements sql.Scanner.
func (s scanJSON) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), s.to)
	case []byte:
		return json.Unmarshal(v, s.to)
	}
	return fmt.Errorf("JSON is stored as text, not as %T", v)
}
