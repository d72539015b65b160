package webui

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/hub"
)

//go:embed static/*.js static/*.svg static/css/*.css
var staticFiles embed.FS

// assets serves the style, the script and the icon under names that hold a digest of their content, so that a browser may keep them for
// good and never shows a new page with an old style.
type assets struct {
	byName map[string]asset  // "app.3f2a91c04b7d.css"
	path   map[string]string // "app.css" → "/static/app.3f2a91c04b7d.css"
}

type asset struct {
	kind string
	body []byte
}

var assetKinds = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// loadAssets reads what is embedded. The styles, one file a topic, become one in the order of their names. It panics on a file of an unknown kind:
// that is a mistake of ours which any test shows.
func loadAssets() assets {
	files := map[string][]byte{}
	err := fs.WalkDir(staticFiles, "static", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := staticFiles.ReadFile(p)
		name := path.Base(p)
		if path.Ext(name) == ".css" {
			name = "app.css"
		}
		files[name] = append(files[name], b...)
		return err
	})
	if err != nil {
		panic(err)
	}
	a := assets{byName: map[string]asset{}, path: map[string]string{}}
	for name, body := range files {
		ext := path.Ext(name)
		kind, ok := assetKinds[ext]
		if !ok {
			panic("webui: no content type for static file " + name)
		}
		sum := sha256.Sum256(body)
		hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		a.byName[hashed], a.path[name] = asset{kind, body}, "/static/"+hashed
	}
	return a
}

func (u *ui) static(w http.ResponseWriter, r *http.Request) error {
	f, ok := u.assets.byName[r.PathValue("name")]
	if !ok {
		return hub.E(hub.CodeNotFound, "There is no such file.", "Load the page again; its files have new names after an update.")
	}
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
	return nil
}
