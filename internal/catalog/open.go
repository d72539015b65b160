package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/kitshub/kitshub/internal/hub"
)

//go:embed builtin
var embedded embed.FS

// BuiltinFS is the built-in catalog's folder, for Lint and for whoever wants to start their own from it.
func BuiltinFS() fs.FS {
	sub, err := fs.Sub(embedded, "builtin")
	if err != nil {
		panic(err) // "builtin" is a valid path: fs.Sub has nothing else to refuse
	}
	return sub
}

var builtin = sync.OnceValues(func() (*hub.Catalog, error) { return Load(BuiltinFS()) })

// Builtin is the catalog that is part of the binary, read once and shared: treat it as immutable.
func Builtin() (*hub.Catalog, error) { return builtin() }

// Open reads the catalog in a folder; an empty dir is the built-in one.
func Open(dir string) (*hub.Catalog, error) {
	if dir == "" {
		return Builtin()
	}
	if st, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("the catalog folder cannot be opened; check CATALOG_DIR: %w", err)
	} else if !st.IsDir() {
		return nil, fmt.Errorf("%s is no folder; set CATALOG_DIR to the folder that has plans.yaml", dir)
	}
	c, err := Load(os.DirFS(dir))
	if err != nil {
		return nil, fmt.Errorf("catalog %s: %w", dir, err)
	}
	return c, nil
}
