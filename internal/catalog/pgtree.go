package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The part of the Postgres parser's tree that tells which tables a migration makes. Its JSON has one key for each node, the node's type.
type (
	pgTree struct {
		Stmts []struct {
			Stmt     pgStmt `json:"stmt"`
			Location int    `json:"stmt_location"` // bytes
		} `json:"stmts"`
	}
	pgStmt struct {
		Create *struct {
			Relation   pgRelation        `json:"relation"`
			Elements   []pgElement       `json:"tableElts"`
			Inherits   []json.RawMessage `json:"inhRelations"`
			PartOf     json.RawMessage   `json:"partbound"`
			OfTypename json.RawMessage   `json:"ofTypename"`
		} `json:"CreateStmt"`
		CreateAs *struct {
			Into struct {
				Relation pgRelation `json:"rel"`
			} `json:"into"`
			Kind string `json:"objtype"`
		} `json:"CreateTableAsStmt"`
		Alter *struct {
			Relation pgRelation `json:"relation"`
			Kind     string     `json:"objtype"`
			Commands []struct {
				Command struct {
					Kind   string    `json:"subtype"`
					Name   string    `json:"name"`
					Column pgElement `json:"def"`
				} `json:"AlterTableCmd"`
			} `json:"cmds"`
		} `json:"AlterTableStmt"`
		Rename *struct {
			Kind     string     `json:"renameType"`
			Relation pgRelation `json:"relation"`
			Old      string     `json:"subname"`
			New      string     `json:"newname"`
		} `json:"RenameStmt"`
		Index *struct {
			Name       string `json:"idxname"`
			Concurrent bool   `json:"concurrent"`
			Lenient    bool   `json:"if_not_exists"`
		} `json:"IndexStmt"`
		Vacuum *struct {
			Vacuum bool `json:"is_vacuumcmd"` // else it is ANALYZE
		} `json:"VacuumStmt"`
		Reindex *struct {
			Options []struct {
				Option struct {
					Name string `json:"defname"`
				} `json:"DefElem"`
			} `json:"params"`
		} `json:"ReindexStmt"`
		Drop *struct {
			Kind       string `json:"removeType"`
			Concurrent bool   `json:"concurrent"`
			Lenient    bool   `json:"missing_ok"`
			Objects    []struct {
				List struct {
					Items []struct {
						String struct {
							Value string `json:"sval"`
						} `json:"String"`
					} `json:"items"`
				} `json:"List"`
			} `json:"objects"`
		} `json:"DropStmt"`
	}
	pgRelation struct {
		Schema      string `json:"schemaname"`
		Name        string `json:"relname"`
		Persistence string `json:"relpersistence"`
	}
	pgElement struct {
		Column *struct {
			Name string `json:"colname"`
		} `json:"ColumnDef"`
		Like json.RawMessage `json:"TableLikeClause"`
	}
)

// alone reports a statement that the server refuses in a transaction.
func (s pgStmt) alone() bool {
	switch {
	case s.Index != nil:
		return s.Index.Concurrent
	case s.Drop != nil:
		return s.Drop.Concurrent
	case s.Vacuum != nil:
		return s.Vacuum.Vacuum
	case s.Reindex != nil:
		for _, o := range s.Reindex.Options {
			if o.Option.Name == "concurrently" {
				return true
			}
		}
	}
	return false
}

// onceOnly reports a statement about an index that fails when it is run a second time. gone are the indexes that the script has dropped before,
// where they were there.
func (s pgStmt) onceOnly(gone map[string]bool) bool {
	switch {
	case s.Index != nil:
		return !s.Index.Lenient && !gone[s.Index.Name]
	case s.Drop != nil:
		return !s.Drop.Lenient
	}
	return false
}

// dropped gives the names of what a statement drops, without their schemas.
func (s pgStmt) dropped() (names []string) {
	if s.Drop != nil {
		for _, o := range s.Drop.Objects {
			if n := len(o.List.Items); n > 0 {
				names = append(names, o.List.Items[n-1].String.Value)
			}
		}
	}
	return names
}

// ours says whether a relation is a lasting one in the schema that tenants use.
func (r pgRelation) ours() bool {
	return (r.Schema == "" || r.Schema == "public") && r.Persistence != "t"
}

// readTree decodes the parser's JSON.
func readTree(text string) (*pgTree, error) {
	var tree pgTree
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return nil, fmt.Errorf("read the parser's tree: %w", err)
	}
	return &tree, nil
}

// apply brings the tables up to date with one statement.
func (s pgStmt) apply(tables tableSet, file string, line int) {
	switch {
	case s.Create != nil && s.Create.Relation.ours() && s.Create.PartOf == nil: // a partition is no table of its own to a program
		t := s.made(tables, s.Create.Relation, file, line)
		t.opaque = len(s.Create.Inherits) > 0 || s.Create.OfTypename != nil
		for _, e := range s.Create.Elements {
			t.opaque = t.opaque || e.Like != nil
			if e.Column != nil {
				t.columns[strings.ToLower(e.Column.Name)] = true
			}
		}
	case s.CreateAs != nil && s.CreateAs.Kind == "OBJECT_TABLE" && s.CreateAs.Into.Relation.ours():
		s.made(tables, s.CreateAs.Into.Relation, file, line).opaque = true
	case s.Alter != nil && s.Alter.Kind == "OBJECT_TABLE" && s.Alter.Relation.ours():
		t := tables[strings.ToLower(s.Alter.Relation.Name)]
		for _, c := range s.Alter.Commands {
			switch {
			case t == nil:
			case c.Command.Kind == "AT_AddColumn" && c.Command.Column.Column != nil:
				t.columns[strings.ToLower(c.Command.Column.Column.Name)] = true
			case c.Command.Kind == "AT_DropColumn":
				delete(t.columns, strings.ToLower(c.Command.Name))
			}
		}
	case s.Rename != nil && s.Rename.Relation.ours():
		s.rename(tables)
	case s.Drop != nil && s.Drop.Kind == "OBJECT_TABLE":
		for _, name := range s.dropped() {
			delete(tables, strings.ToLower(name))
		}
	}
}

func (s pgStmt) made(tables tableSet, r pgRelation, file string, line int) *tableInfo {
	t := tables.table(strings.ToLower(r.Name))
	t.file, t.line = file, line
	return t
}

func (s pgStmt) rename(tables tableSet) {
	name := strings.ToLower(s.Rename.Relation.Name)
	t := tables[name]
	switch {
	case t == nil:
	case s.Rename.Kind == "OBJECT_TABLE":
		delete(tables, name)
		tables[strings.ToLower(s.Rename.New)] = t
	case s.Rename.Kind == "OBJECT_COLUMN":
		delete(t.columns, strings.ToLower(s.Rename.Old))
		t.columns[strings.ToLower(s.Rename.New)] = true
	}
}
