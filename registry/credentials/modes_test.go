package credentials

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
)

// asked is a keychain that notes that it was asked.
type asked struct{ times int }

func (a *asked) Resolve(authn.Resource) (authn.Authenticator, error) {
	a.times++
	return authn.Anonymous, nil
}

// docs/security.md: "A file that every user may write is refused"
// docs/security.md: "docker configs"
// docs/security.md: "the credential plugins and their configuration."
func TestFilesThatAllMayWriteAreNotBelieved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(`{"auths":{"registry.example":{"username":"me","password":"s"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	chain := &asked{}
	s, err := NewSource(SourceConfig{DockerConfigs: []string{file}, Keychain: chain})
	if err != nil {
		t.Fatal(err)
	}
	lookup := func() []Credential {
		found, err := s.For(Pod{}).Lookup(context.Background(), "registry.example/app")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if n := len(lookup()); n != 1 {
		t.Fatalf("%d credentials", n)
	}
	if err := os.Chmod(file, 0o602); err != nil {
		t.Fatal(err)
	}
	if n := len(lookup()); n != 0 || chain.times != 0 {
		t.Errorf("of a file that all may write: %d credentials, and docker's own way was gone %d times", n, chain.times)
	}
	_, err = ReadFile(file, 1000)
	if !errors.Is(err, ErrWritable) || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("the error is %v", err)
	}

	dir := t.TempDir()
	program := filepath.Join(dir, "plugin")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(program, 0o777); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "plugins.yaml")
	text := "kind: CredentialProviderConfig\napiVersion: kubelet.config.k8s.io/v1\nproviders:\n" +
		"- {name: plugin, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ['*.example'], defaultCacheDuration: 1m}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewSource(SourceConfig{PluginConfig: config, PluginDir: dir}); !errors.Is(err, ErrWritable) {
		t.Errorf("a program that all may write: %v", err)
	}
}
