package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/kitshub/kitshub/internal/httpapi/wire"
	"github.com/kitshub/kitshub/internal/hub"
	"github.com/kitshub/kitshub/internal/web"
)

// Options of New. Service, Log, Cookies, Readiness and Streams are needed.
type Options struct {
	Service   *hub.Service
	Log       *slog.Logger
	Cookies   web.Cookies
	Version   string                              // of the hub, shown in the OpenAPI document
	PublicURL string                              // its origin may send cookie-authenticated calls; https turns HSTS on
	Readiness func(context.Context) web.Readiness // answers /readyz
	Observe   web.Observe                         // told of each answered call; may be nil
	Streams   *web.Streams                        // carries the event streams
	Pace      web.Pace                            // of event streams; zero is the contract's
}

// Prefixes are the paths that the handler of New serves; a mux mounts it at each.
var Prefixes = []string{"/api", "/api/", "/livez", "/readyz", "/openapi.json", "/docs", "/docs/"}

// callTime bounds every call but the event streams: longer than any use case takes, shorter than callers wait.
const callTime = 25 * time.Second

type api struct {
	Options
	mux     *http.ServeMux
	exact   map[string]http.Handler // of the mux, what has no parameter in its path
	cross   *http.CrossOriginProtection
	routes  []route
	openapi []byte
}

// New makes the handler of the API, its health checks and its documentation. Any other path is answered as a problem document 404, so it
// can also stand where nothing else serves. It panics on a route table that cannot be served; a test holds the table.
func New(o Options) http.Handler {
	a, err := build(o, table())
	if err != nil {
		panic(err)
	}
	return web.Common(web.Options{Log: o.Log, Observe: o.Observe, HTTPS: web.IsHTTPS(o.PublicURL), Fail: a.panicked})(a)
}

func build(o Options, routes []route) (*api, error) {
	a := &api{Options: o, mux: http.NewServeMux(), exact: map[string]http.Handler{}, cross: http.NewCrossOriginProtection(), routes: routes}
	if o.PublicURL != "" { // behind a proxy that changes Host, the browser's Origin is still PUBLIC_URL
		if err := a.cross.AddTrustedOrigin(strings.TrimRight(o.PublicURL, "/")); err != nil {
			return nil, fmt.Errorf("PUBLIC_URL: %w", err)
		}
	}
	byPath := map[string]map[string]*route{}
	for i := range routes {
		rt := &routes[i]
		if err := rt.check(); err != nil {
			return nil, fmt.Errorf("%s %s: %w", rt.method, rt.path, err)
		}
		if byPath[rt.path] == nil {
			byPath[rt.path] = map[string]*route{}
		}
		if _, twice := byPath[rt.path][rt.method]; twice {
			return nil, fmt.Errorf("%s %s is registered twice", rt.method, rt.path)
		}
		byPath[rt.path][rt.method] = rt
	}
	for p, methods := range byPath {
		h := a.endpoint(p, methods)
		a.mux.Handle(p, h)
		if !strings.Contains(p, "{") {
			a.exact[p] = h
		}
	}
	var err error
	if a.openapi, err = document(o.Version, routes); err != nil {
		return nil, err
	}
	a.mountRest()
	a.mux.HandleFunc("/", a.notFound)
	return a, nil
}

// ServeHTTP answers 404 itself where ServeMux would redirect to a tidied path: a program that calls //api/v1/plans has a mistake to find.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, ok := a.exact[r.URL.Path]; ok {
		h.ServeHTTP(w, r)
		return
	}
	if Untidy(r.URL.Path) {
		a.notFound(w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

// Untidy reports whether ServeMux would redirect to a cleaned form of p (//api, /api/../x). Where the handler of New is mounted in a ServeMux, such
// paths have to be given to it around that mux.
func Untidy(p string) bool {
	if strings.HasPrefix(p, "/") && !strings.Contains(p, "//") && !strings.Contains(p, "/.") {
		return false // as nearly all are
	}
	tidy := path.Clean("/" + p)
	return p != tidy && p != tidy+"/"
}

// Refuse answers an error as the API does, for what is served beside it. The cause is not logged here.
func Refuse(w http.ResponseWriter, r *http.Request, err error) { wire.Refusal(r, err).Write(w) }

func (a *api) notFound(w http.ResponseWriter, r *http.Request) {
	web.SetRoute(r.Context(), "unmatched")
	wire.Refusal(r, hub.E(hub.CodeNotFound, "There is nothing at this path.", "See /openapi.json or /docs for what there is.")).Write(w)
}

func (a *api) panicked(w http.ResponseWriter, r *http.Request) {
	wire.Refusal(r, errors.New("a handler panicked")).Write(w)
}

// endpoint serves one path: it picks the method's route or says which methods there are.
func (a *api) endpoint(pattern string, methods map[string]*route) http.Handler {
	allow := make([]string, 0, len(methods)+1)
	for m := range methods {
		allow = append(allow, m)
	}
	if _, ok := methods[http.MethodGet]; ok {
		allow = append(allow, http.MethodHead)
	}
	slices.Sort(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.SetRoute(r.Context(), pattern)
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		rt, ok := methods[method]
		if !ok {
			w.Header().Set("Allow", strings.Join(allow, ", "))
			wire.Refusal(r, hub.E(hub.CodeMethodNotAllowed, "This path does not take this method.", "Use "+strings.Join(allow, " or ")+".")).Write(w)
			return
		}
		a.serve(rt, w, r)
	})
}

// call is one call of a route.
type call struct {
	*api
	route   *route
	w       http.ResponseWriter
	r       *http.Request
	ctx     context.Context
	actor   hub.Actor // operators' routes
	token   string    // customers' routes: the status token; operators' routes by cookie: the session token
	body    []byte
	receipt *hub.PendingReceipt
	buffer  *[]byte // one of buffers, if the handler took it; serve puts it back
}

func (a *api) serve(rt *route, w http.ResponseWriter, r *http.Request) {
	c := &call{api: a, route: rt, w: w, r: r, ctx: r.Context()}
	if r.Method == http.MethodPost { // what is begun is finished, though its caller leaves or the hub is told to stop
		c.ctx = context.WithoutCancel(c.ctx)
	}
	if !rt.stream && !rt.unbound {
		defer c.bound()()
	}
	err := c.admit()
	if err == nil && rt.stream {
		err = rt.events(c)
		if err == nil {
			return // sent already
		}
	}
	if err == nil && r.Method == http.MethodPost {
		err = c.readBody()
	}
	var out wire.Sent
	if err == nil {
		out, err = c.answer() //nolint:contextcheck // the call carries its context
	}
	if err != nil {
		out = c.refuse(err)
	}
	out.Write(w)
	if c.buffer != nil {
		buffers.Put(c.buffer)
	}
}

// bound ends the call's context after callTime; the caller calls cancel in the end.
func (c *call) bound() (cancel context.CancelFunc) {
	c.ctx, cancel = context.WithTimeout(c.ctx, callTime)
	return cancel
}

// answer runs the handler, under its Idempotency-Key where there is one.
func (c *call) answer() (wire.Sent, error) {
	if c.takesKey() {
		key, given, err := wire.IdempotencyKey(c.r)
		if err != nil {
			return wire.Sent{}, err
		}
		if given {
			return c.once(key)
		}
	}
	return c.run()
}

// run runs the handler.
func (c *call) run() (wire.Sent, error) {
	a, err := c.route.handle(c)
	if err != nil {
		return wire.Sent{}, err
	}
	out, err := a.encode()
	return wire.Sent{Answer: out, RetryAfter: a.retryAfter}, err
}

func (c *call) refuse(err error) wire.Sent {
	wire.Tell(c.Log, c.r, c.route.path, err)
	if hub.IsCode(err, hub.CodeUnauthenticated) {
		c.w.Header().Set("WWW-Authenticate", `Bearer realm="kitshub"`)
	}
	return wire.Refusal(c.r, err)
}
