package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ocilayout "github.com/google/go-containerregistry/pkg/registry"

	"github.com/krustlet-go/krustlet-wasi/registry"
)

// programs are the images that the guest can be.
var programs = []string{"agnhost", "busybox", "nginx", "pause", "httpd", "glibc-dns-testing"}

// sources are the suite's names for where its images come from. They all lead to the registry here, but for one that
// is to have none.
var sources = []string{
	"promoterE2eRegistry", "buildImageRegistry", "gcEtcdRegistry", "gcRegistry", "sigStorageRegistry", "privateRegistry",
	"dockerLibraryRegistry", "cloudProviderGcpRegistry",
}

func (s *site) startRegistry(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.host = listener.Addr().String()
	s.server = &http.Server{Handler: ocilayout.New(ocilayout.Logger(log.New(io.Discard, "", 0))), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }() // ends with close
	var list strings.Builder
	for _, source := range sources {
		fmt.Fprintf(&list, "%s: %s/e2e\n", source, s.host)
	}
	fmt.Fprintf(&list, "invalidRegistry: %s/invalid\n", s.host)
	return os.WriteFile(s.sourceList(), []byte(list.String()), 0o600)
}

// sourceList is the file that tells the suite where its images are.
func (s *site) sourceList() string { return filepath.Join(s.dir, "registries.yaml") }

// publish builds the guest and publishes it under every name by which the suite asks for one of its programs.
func (s *site) publish(ctx context.Context) error {
	file := filepath.Join(s.dir, "guest.wasm")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", file, ".")
	build.Dir = "hack/nodeconformance/guest"
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	module, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	list := exec.CommandContext(ctx, "bin/e2e.test", "--list-images")
	list.Env = append(os.Environ(), "KUBE_TEST_REPO_LIST="+s.sourceList())
	names, err := list.Output()
	if err != nil {
		return fmt.Errorf("bin/e2e.test --list-images: %w", err)
	}
	for _, image := range strings.Fields(string(names)) {
		name, _, _ := strings.Cut(path.Base(image), ":")
		// Nothing is ever asked of a registry elsewhere.
		if !strings.HasPrefix(image, s.host+"/") || !slices.Contains(programs, name) {
			continue
		}
		if _, err := registry.Push(ctx, image, module, registry.PushConfig{}); err != nil {
			return err
		}
	}
	return nil
}
