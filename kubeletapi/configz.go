package kubeletapi

import "net/http"

// configz answers with the configuration that is in effect.
func (s *Server) configz(w http.ResponseWriter, _ *http.Request) {
	s.writeJSON(w, "configuration", s.config.Configuration)
}
