package store

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Condition is what Examine saw of the hub's own database.
type Condition struct {
	Schema  int64 // the last migration that it has; 0: none
	Current int64 // the last that this program has

	// Of a server only.
	Version   int    // major
	Role      string // the hub's own, quoted as SQL wants it
	Namespace string // the schema that its tables are in, quoted likewise
	MayCreate bool   // tables in the schema that the hub uses
	Super     bool   // the role is a superuser
	MaxConns  int    // for roles that are no superusers
	Open      int    // connections there are now, everybody's
}

// Examine looks at the database and changes nothing; Migrate does.
func (s *Store) Examine(ctx context.Context) (c Condition, err error) {
	names, err := fs.Glob(migrations, s.dialect.migrations+"/*.sql")
	if err != nil {
		return c, err
	}
	for _, n := range names {
		digits, _, _ := strings.Cut(n[strings.LastIndexByte(n, '/')+1:], "_")
		v, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return c, fmt.Errorf("the migration %s has no number", n)
		}
		c.Current = max(c.Current, v)
	}
	var there int
	if err := s.read.QueryRowContext(ctx, s.dialect.countTable, "goose_db_version").Scan(&there); err != nil {
		return c, s.explain(err)
	}
	if there > 0 {
		if err := s.read.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version`).Scan(&c.Schema); err != nil {
			return c, s.explain(err)
		}
	}
	if s.dialect.server == "" {
		return c, nil
	}
	err = s.read.QueryRowContext(ctx, s.dialect.server).Scan(&c.Version, &c.Role, &c.Namespace, &c.MayCreate, &c.Super, &c.MaxConns, &c.Open)
	return c, s.explain(err)
}
