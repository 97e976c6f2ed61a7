package controlplane

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
)

// Settings say which cluster to run.
type Settings struct {
	// Dir is the cluster's folder. Run makes it if it does not exist. Its parent must exist.
	Dir string
	// Port is the API server's port on 127.0.0.1. For 0, Run takes a free one.
	Port int
	// Keep leaves the components' logs in Dir at the end.
	Keep bool
	// Progress gets a line for each step, and for each component that had to be started again.
	// Several goroutines write to it.
	Progress io.Writer
	// Ready is called once, when all components are healthy. kubeconfig is the absolute path of the
	// administrator's kubeconfig.
	Ready func(kubeconfig string)
}

// validate checks the settings and makes Dir absolute.
func (s *Settings) validate() error {
	if s.Dir == "" {
		return errors.New("--dir is missing: name the folder for the cluster's files")
	}
	if s.Port < 0 || s.Port > 65535 {
		return fmt.Errorf("--port %d is no port: use 1 to 65535, or 0 for a free one", s.Port)
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return fmt.Errorf("reading --dir %s: %w", s.Dir, err)
	}
	s.Dir = dir
	return nil
}
