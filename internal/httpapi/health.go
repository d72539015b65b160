package httpapi

import (
	"net/http"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// mountRest serves what is not part of the versioned API: health, the OpenAPI document and its page.
func (a *api) mountRest() {
	a.get("/livez", func(w http.ResponseWriter, _ *http.Request) {
		a.plain(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	a.get("/readyz", a.readyz)
	a.get("/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		wire.Sent{Answer: hub.Answer{Status: http.StatusOK, ContentType: wire.JSON, Body: a.openapi}}.Write(w)
	})
	a.get("/docs", docsPage)
	a.get("/docs/{file}", a.docsFile)
}

// get mounts what is only read; other methods are refused as everywhere.
func (a *api) get(pattern string, h http.HandlerFunc) {
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		web.SetRoute(r.Context(), pattern)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			wire.Refusal(r, hub.E(hub.CodeMethodNotAllowed, "This path does not take this method.", "Use GET or HEAD.")).Write(w)
			return
		}
		h(w, r)
	})
}

func (a *api) readyz(w http.ResponseWriter, r *http.Request) {
	ready := a.Readiness(r.Context())
	if ready.Checks == nil {
		ready.Checks = map[string]web.Check{}
	}
	status := http.StatusOK
	if ready.Status == web.Down {
		status = http.StatusServiceUnavailable
	}
	a.plain(w, status, ready)
}

// plain answers without the envelope: machines that watch the hub expect the bare document.
func (a *api) plain(w http.ResponseWriter, status int, v any) {
	body, err := wire.Marshal(v)
	if err != nil {
		panic(err)
	}
	wire.Sent{Answer: hub.Answer{Status: status, ContentType: wire.JSON, Body: append(body, '\n')}}.Write(w)
}
