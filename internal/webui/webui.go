package webui

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// Options is what the pages work with; Service, Log and Streams are needed.
type Options struct {
	Service *hub.Service
	Log     *slog.Logger
	Cookies web.Cookies
	Version string       // shown at the foot of each page
	Streams *web.Streams // carries what keeps open pages fresh
	// Refuse answers programs (those that do not accept HTML) in the form of the API where a page would say what went wrong. Without it they
	// get the page too.
	Refuse func(w http.ResponseWriter, r *http.Request, err error)
}

type ui struct {
	Options
	mux    *http.ServeMux
	pages  pages
	assets assets

	records records
}

// New makes the handler of all pages. It is to be mounted at "/": what it does not know is a page that says so.
func New(o Options) http.Handler {
	u := &ui{Options: o, mux: http.NewServeMux(), assets: loadAssets()}
	u.pages = parsePages(u.assets)
	u.routes()
	guard := http.NewCrossOriginProtection()
	// The token in the path is the proof itself, and nobody who does not know it can forge these. Without the exception the page's own
	// no-referrer policy would break them in browsers that send no Sec-Fetch-Site, since it makes their Origin null.
	for _, p := range []string{"POST /status/{token}/cancel", "POST /status/{token}/credentials", "POST /setup/{token}"} {
		guard.AddInsecureBypassPattern(p)
	}
	guard.SetDenyHandler(u.page(func(http.ResponseWriter, *http.Request) error {
		return hub.E(hub.CodeForbidden, "This form was sent from another site, so it was not accepted.", "Open the page here and send it again.")
	}))
	return guard.Handler(u.mux)
}

func (u *ui) routes() {
	for pattern, h := range map[string]handler{
		"GET /{$}":     u.signupPage,
		"POST /signup": u.signup,

		"GET /status":                      u.lookupPage,
		"POST /status":                     u.lookup,
		"GET /status/{token}":              u.statusPage,
		"GET /status/{token}/events":       u.statusEvents,
		"GET /status/{token}/cancel":       u.cancelPage,
		"POST /status/{token}/cancel":      u.cancel,
		"POST /status/{token}/credentials": u.reveal,

		"GET /forecast": u.forecastPage,

		"GET /setup/{token}":  u.setupPage,
		"POST /setup/{token}": u.setup,

		"GET /console/login":   u.loginPage,
		"POST /console/login":  u.login,
		"POST /console/logout": u.logout,

		"GET /console":                            u.operator(u.linePage),
		"GET /console/events":                     u.operator(u.lineEvents),
		"POST /console/claim-next":                u.operator(u.claimNext),
		"GET /console/requests/{id}":              u.operator(u.requestPage),
		"GET /console/requests/{id}/events":       u.operator(u.requestEvents),
		"POST /console/requests/{id}/claim":       u.operator(u.act("claim", u.Service.Claim)),
		"POST /console/requests/{id}/release":     u.operator(u.act("release", u.Service.Release)),
		"POST /console/requests/{id}/retry":       u.operator(u.act("retry", u.Service.Retry)),
		"POST /console/requests/{id}/cancel":      u.operator(u.act("cancel", u.Service.Cancel)),
		"POST /console/requests/{id}/credentials": u.operator(u.giveCredentials),
		"POST /console/requests/{id}/test":        u.operator(u.testConnection),
		"POST /console/requests/{id}/notes":       u.operator(u.setNotes),
		"POST /console/requests/{id}/reveal":      u.operator(u.revealTenant),
		"/":                                       u.unknown,
	} {
		u.mux.Handle(pattern, u.page(named(pattern, h)))
	}
	u.mux.Handle("GET /static/{name}", u.page(named("GET /static/{name}", u.static)))
}

// unknown answers what no route takes: with 405 where another method would do, else with 404.
func (u *ui) unknown(w http.ResponseWriter, r *http.Request) error {
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, pattern := u.mux.Handler(other); m != r.Method && pattern != "/" {
			w.Header().Set("Allow", m)
			return hub.E(hub.CodeMethodNotAllowed, "This address does not take "+shorten(r.Method, 20)+".", "Go back and use the page's own buttons.")
		}
	}
	return hub.E(hub.CodeNotFound, "There is no page at this address.", "Check the address, or start from one of the places below.")
}

// named tells log and metrics the route, since the mux out there knows only that it was a page.
func named(pattern string, h handler) handler {
	_, path, _ := strings.Cut(pattern, " ")
	path = strings.TrimSuffix(path, "{$}")
	if path == "" { // the pattern "/" takes whatever no other does
		path = "unmatched"
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		web.SetRoute(r.Context(), path)
		return h(w, r)
	}
}
