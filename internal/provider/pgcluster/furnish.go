package pgcluster

import (
	"fmt"
	"strings"

	"github.com/kitshub/kitshub/internal/provider"
)

// furnishVersion is part of every template's name: who changes furnishSQL raises it, and all templates are built anew.
const furnishVersion = 1

// furnishSQL is what every database of ours begins with, run as the hub's own role in a copy of template0.
//
// All objects belong to one role of the cluster, so a copy needs no change of owners; and all rights of customers' programs are one group's, so
// it needs no grants. What keeps neighbours apart is who may connect to the database, and neither of the two roles may connect to any.
//
// TRUNCATE is not granted: row-level security does not hold it back.
func (n names) furnishSQL() string {
	owner, app := quote(n.owner()), quote(n.app())
	users := app
	for _, r := range provider.CompatRoles {
		users += ", " + quote(r)
	}
	const rights = `SELECT, INSERT, UPDATE, DELETE`
	return strings.Join([]string{
		`REVOKE ALL ON SCHEMA public FROM PUBLIC`,
		`ALTER SCHEMA public OWNER TO ` + owner,
		`SET LOCAL ROLE ` + owner,
		`GRANT USAGE ON SCHEMA public TO ` + users,
		fmt.Sprintf(`ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA public GRANT %s ON TABLES TO %s`, owner, rights, users),
		fmt.Sprintf(`ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO %s`, owner, users),
		`CREATE SCHEMA auth`,
		`GRANT USAGE ON SCHEMA auth TO ` + users,
		provider.AuthFunctions,
	}, ";\n")
}
