package config

import "testing"

// docs/security.md: "by default on every address"
func TestListensOnEveryAddress(t *testing.T) {
	cfg, err := newScene(t).load(t, testMachine())
	if err != nil {
		t.Fatal(err)
	}
	if !cfg.Addr.IsUnspecified() {
		t.Errorf("the API listens on %v", cfg.Addr)
	}
}
