package httpapi

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/swaggest/swgui/v5/static"
)

// The page is our own few lines around the files of Swagger UI that swgui carries: swgui's own page has an inline script and style, which the
// hub's content security policy refuses, and rightly.
const docsHTML = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>KiTS Hub API</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

// docsStart: no validator service and no models of other hosts, so that the page works offline.
const docsStart = `window.addEventListener("load", function () {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    docExpansion: "list",
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout"
  });
});
`

func docsPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, docsHTML)
}

// docsAge is how long browsers may keep the page's files; they change with the hub's version only.
const docsAge = "public, max-age=3600"

func (a *api) docsFile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "start.js" {
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.Header().Set("Cache-Control", docsAge)
		_, _ = io.WriteString(w, docsStart)
		return
	}
	f, packed, err := docsAsset(name)
	if err != nil {
		a.notFound(w, r)
		return
	}
	defer func() { _ = f.Close() }()
	h := w.Header()
	h.Set("Cache-Control", docsAge)
	h.Set("Vary", "Accept-Encoding")
	switch path.Ext(name) {
	case ".js":
		h.Set("Content-Type", "text/javascript; charset=utf-8")
	case ".css":
		h.Set("Content-Type", "text/css; charset=utf-8")
	case ".png":
		h.Set("Content-Type", "image/png")
	}
	var src io.Reader = f
	switch {
	case packed && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"):
		h.Set("Content-Encoding", "gzip")
	case packed:
		if src, err = gzip.NewReader(f); err != nil {
			panic(err) // part of the binary
		}
	}
	_, _ = io.Copy(w, src) //nolint:gosec // our own files, of known size
}

// docsAsset opens one of the files that the page needs; most are stored packed.
func docsAsset(name string) (f fs.File, packed bool, err error) {
	switch name {
	case "swagger-ui.css", "swagger-ui-bundle.js":
		f, err = static.FS.Open(name + ".gz")
		return f, true, err
	case "favicon-32x32.png":
		f, err = static.FS.Open(name)
		return f, false, err
	}
	return nil, false, errors.New("no such file")
}
