package kubeletapi

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// healthParts are the parts of the node's health. Their names are paths below /healthz.
func healthParts(health func() error) []healthPart {
	return []healthPart{
		{"ping", func() error { return nil }}, // it answers, so it works
		{"syncloop", func() error {
			if health == nil {
				return nil
			}
			return health()
		}},
	}
}

type healthPart struct {
	name  string
	check func() error
}

// healthz checks the whole node, or the part that the path names. It answers with 500 and the
// reason if a check fails. With ?verbose it lists the parts.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	wanted := r.PathValue("part")
	var list, failures strings.Builder
	found := wanted == ""
	for _, part := range healthParts(s.config.Health) {
		if wanted != "" && wanted != part.name {
			continue
		}
		found = true
		if err := part.check(); err != nil {
			_, _ = fmt.Fprintf(&list, "[-]%s failed: %v\n", part.name, err)
			_, _ = fmt.Fprintf(&failures, "%s failed: %v\n", part.name, err)
			continue
		}
		_, _ = fmt.Fprintf(&list, "[+]%s ok\n", part.name)
	}
	switch {
	case !found:
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	case failures.Len() > 0 && r.URL.Query().Has("verbose"):
		http.Error(w, list.String()+"healthz check failed", http.StatusInternalServerError)
		return
	case failures.Len() > 0:
		http.Error(w, strings.TrimSuffix(failures.String(), "\n"), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.URL.Query().Has("verbose") {
		_, _ = io.WriteString(w, list.String()+"healthz check passed\n")
		return
	}
	_, _ = io.WriteString(w, "ok")
}
