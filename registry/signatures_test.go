package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
)

// TestSignaturesAreNotChecked: an image with an invalid signature beside it is pulled, and the
// signature is not requested.
//
// docs/security.md: "Signatures are not checked."
func TestSignaturesAreNotChecked(t *testing.T) {
	srv := newServer(t)
	module := wasm("unsigned", 10)
	id := srv.push(t, "app:v1", module)
	_, digest, _ := strings.Cut(id, "@")
	srv.pushAs(t, "app:"+strings.Replace(digest, ":", "-", 1)+".sig", "application/vnd.oci.image.config.v1+json",
		"application/vnd.dev.cosign.simplesigning.v1+json", []byte(`{"critical":{"image":{"docker-manifest-digest":"sha256:`+zeros+`"}}}`))
	m, err := newStore(t, Config{}).pulled(t.Context(), srv.host()+"/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m, module)
	for _, request := range []string{".sig", "/referrers/"} {
		if n := srv.count("GET", request) + srv.count("HEAD", request); n != 0 {
			t.Errorf("%s was asked for %d times", request, n)
		}
	}
}

// TestHostsThatAllMayWriteAreNotBelieved: hosts.toml names servers, authorities and keys, so a file
// that all users may write is refused.
//
// docs/security.md: "docker configs, `hosts.toml`, the credential plugins"
func TestHostsThatAllMayWriteAreNotBelieved(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app:v1", wasm("app", 10))
	dir := hostsDir(t, "registry.example", "server = '"+srv.URL+"'\n")
	s := newStore(t, Config{HostsDir: dir})
	if _, err := s.pulled(t.Context(), "registry.example/app:v1"); err != nil {
		t.Fatal(err)
	}
	makeWritable(t, dir, "hosts.toml")
	_, err := newStore(t, Config{HostsDir: dir}).pulled(t.Context(), "registry.example/app:v1")
	errorcheck.Is(t, err, credentials.ErrWritable, "hosts.toml")
}

// makeWritable lets every user write the files with this name.
func makeWritable(t *testing.T, dir, name string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", name))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := os.Chmod(files[0], 0o666); err != nil {
		t.Fatal(err)
	}
}
