package app

import (
	"net/http"
	"strings"

	"github.com/kitshub/kitshub/internal/httpapi"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
	"github.com/kitshub/kitshub/internal/webui"
)

// routes puts the API, the pages and the metrics under one roof. What every answer goes through (request id, log, headers, recovery, body
// limit) is web.Common, once for all of them.
func (a *App) routes() http.Handler {
	cookies := web.NewCookies(a.Config.PublicURL)
	api := httpapi.New(httpapi.Options{
		Service: a.Service, Log: a.Log, Cookies: cookies, Version: a.Version, PublicURL: a.Config.PublicURL,
		Readiness: a.readiness, Observe: a.Metrics.ObserveHTTP, Streams: a.streams,
	})
	pages := webui.New(webui.Options{Service: a.Service, Log: a.Log, Cookies: cookies, Version: a.Version, Streams: a.streams, Refuse: httpapi.Refuse})
	open := web.CORS(a.Config.CORSAllowedOrigins)(api)
	mux := http.NewServeMux()
	for _, prefix := range httpapi.Prefixes {
		mux.Handle(prefix, open)
	}
	if a.Config.MetricsAddr == "" {
		a.mountMetrics(mux)
	}
	mux.Handle("/", pages)
	first := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch untidy := httpapi.Untidy(r.URL.Path); {
		case !untidy && strings.HasPrefix(r.URL.Path, "/api/"):
			open.ServeHTTP(w, r) // it has a mux of its own: no need to go through two
		case untidy && strings.Contains(r.URL.Path, "/api/"):
			api.ServeHTTP(w, r) // a program that gets its path wrong is told so; a redirect, which ServeMux would send, hides the mistake
		default:
			mux.ServeHTTP(w, r)
		}
	})
	return web.Common(web.Options{Log: a.Log, Observe: a.Metrics.ObserveHTTP, HTTPS: web.IsHTTPS(a.Config.PublicURL)})(first)
}

func (a *App) mountMetrics(mux *http.ServeMux) {
	mux.Handle("GET /metrics", a.Metrics.Handler())
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", "GET, HEAD")
		httpapi.Refuse(w, r, hub.E(hub.CodeMethodNotAllowed, "This path does not take this method.", "Use GET or HEAD."))
	})
}

// metricsAlone is what METRICS_ADDR serves: the metrics and nothing else.
func (a *App) metricsAlone() http.Handler {
	mux := http.NewServeMux()
	a.mountMetrics(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		httpapi.Refuse(w, r, hub.E(hub.CodeNotFound, "There is nothing at this path.", "Ask for /metrics; the hub itself is at PUBLIC_URL."))
	})
	return mux
}
