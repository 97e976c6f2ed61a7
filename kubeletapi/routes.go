package kubeletapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/kubeletapi/scrape"
)

// route says who may call a path and what serves it.
type route struct {
	pattern string // of http.ServeMux, without a method
	// subresources are subresources of the node. A right to one of them is enough.
	subresources []string
	// verb is needed for every method. If it is empty, the verb depends on the method.
	verb    string
	methods []string
	handle  http.HandlerFunc // nil: the path is not served
}

// routes is the whole API. It has a path that is not served if that path needs another right than
// all other paths.
func (s *Server) routes() []route {
	var (
		logs    = []string{"log", "proxy"}
		pods    = []string{"pods", "proxy"}
		health  = []string{"healthz", "proxy"}
		configz = []string{"configz", "proxy"}
		stats   = []string{"stats"}
		metrics = []string{"metrics"}
		proxy   = []string{"proxy"}

		get    = []string{http.MethodGet}
		read   = []string{http.MethodGet, http.MethodHead}
		put    = []string{http.MethodPut}
		stream = []string{http.MethodGet, http.MethodPost}
		create = "create"
	)
	return []route{
		{pattern: "/containerLogs/{namespace}/{pod}/{container}", subresources: logs, methods: get, handle: s.containerLogs},
		{pattern: "/containerLogs/", subresources: logs},
		{pattern: "/pods", subresources: pods, methods: read, handle: s.pods},
		{pattern: "/pods/{$}", subresources: pods, methods: read, handle: s.pods},
		{pattern: "/pods/", subresources: pods},
		{pattern: "/runningpods/{$}", subresources: pods, methods: read, handle: s.runningPods},
		{pattern: "/runningpods/", subresources: pods},
		{pattern: "/healthz", subresources: health, methods: read, handle: s.healthz},
		{pattern: "/healthz/{part}", subresources: health, methods: read, handle: s.healthz},
		{pattern: "/healthz/", subresources: health},
		{pattern: "/configz", subresources: configz, methods: read, handle: s.configz},
		{pattern: "/stats/summary", subresources: stats, methods: []string{http.MethodGet, http.MethodPost}, handle: s.summary},
		{pattern: "/stats/", subresources: stats},
		{pattern: "/metrics", subresources: metrics, methods: read, handle: scrape.Handler(s.config.Metrics, s.config.Log)},
		{pattern: "/metrics/resource", subresources: metrics, methods: read, handle: scrape.Handler(scrape.Resource(s.config.Stats, s.config.Log), s.config.Log)},
		{pattern: "/metrics/probes", subresources: metrics, methods: read, handle: scrape.Handler(s.config.ProbeMetrics, s.config.Log)},
		{pattern: "/metrics/cadvisor", subresources: metrics, methods: read, handle: scrape.Handler(scrape.Cadvisor(s.config.Stats, s.config.Pods.Pods, s.config.Log), s.config.Log)},
		{pattern: "/metrics/", subresources: metrics},
		{pattern: "/exec/{namespace}/{pod}/{container}", subresources: proxy, verb: create, methods: stream, handle: s.exec},
		{pattern: "/exec/{namespace}/{pod}/{uid}/{container}", subresources: proxy, verb: create, methods: stream, handle: s.exec},
		{pattern: "/exec/", subresources: proxy, verb: create},
		{pattern: "/attach/{namespace}/{pod}/{container}", subresources: proxy, verb: create, methods: stream, handle: s.attach},
		{pattern: "/attach/{namespace}/{pod}/{uid}/{container}", subresources: proxy, verb: create, methods: stream, handle: s.attach},
		{pattern: "/attach/", subresources: proxy, verb: create},
		{pattern: "/portForward/{namespace}/{pod}", subresources: proxy, verb: create, methods: stream, handle: s.portForward},
		{pattern: "/portForward/{namespace}/{pod}/{uid}", subresources: proxy, verb: create, methods: stream, handle: s.portForward},
		{pattern: "/portForward/", subresources: proxy, verb: create},
		{pattern: "/debug/pprof/{$}", subresources: proxy, methods: get, handle: s.profiling},
		{pattern: "/debug/pprof/{profile}", subresources: proxy, methods: get, handle: s.profiling},
		{pattern: "/debug/flags/v", subresources: proxy, methods: put, handle: s.logLevel},
		{pattern: "/", subresources: proxy},
	}
}

// mux serves the routes to users who are authenticated. The rights belong to the
// routes, not to the spelling of a path, so a path cannot be written in a way
// that asks for the rights of one page and is served another.
func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.Handle(r.pattern, s.authorized(r, dispatch(r)))
	}
	return mux
}

func dispatch(r route) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		switch {
		case r.handle == nil:
			http.NotFound(w, req)
		case !slices.Contains(r.methods, req.Method):
			w.Header().Set("Allow", strings.Join(r.methods, ", "))
			http.Error(w, "405: Method Not Allowed", http.StatusMethodNotAllowed)
		default:
			r.handle(w, req)
		}
	}
}
