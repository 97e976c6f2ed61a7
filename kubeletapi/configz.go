package kubeletapi

import "net/http"

// configz answers with the configuration that is in effect.
func (s *Server) configz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, s.config.Log, "configuration", s.config.Configuration)
}
