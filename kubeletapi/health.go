package kubeletapi

import (
	"io"
	"net/http"
)

// ping answers that the server works.
func (s *Server) ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok")
}

// healthz answers that the node works, or with 500 and why it does not.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if s.config.Health != nil {
		if err := s.config.Health(); err != nil {
			http.Error(w, "syncloop failed: "+err.Error(), http.StatusInternalServerError)
			return
		}
	}
	s.ping(w, r)
}
