package kubeletapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"strings"
)

// profiling serves Go's profiles of the agent.
func (s *Server) profiling(w http.ResponseWriter, r *http.Request) {
	if !s.config.Profiling {
		disabled(w, "profiling is off; --enable-profiling-handler switches it on")
		return
	}
	switch r.PathValue("profile") {
	case "cmdline":
		pprof.Cmdline(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
}

// logLevel sets the level of the agent's log to the one in the body.
func (s *Server) logLevel(w http.ResponseWriter, r *http.Request) {
	if s.config.SetLogLevel == nil {
		disabled(w, "the log level cannot be changed; --enable-debug-flags-handler lets it")
		return
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit), http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the body cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	level := strings.TrimSpace(string(body))
	if err := s.config.SetLogLevel(level); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "the log level is now %s\n", level)
}

// disabled answers as the stock kubelet does for a page that is switched off.
func disabled(w http.ResponseWriter, why string) {
	http.Error(w, why, http.StatusMethodNotAllowed)
}
