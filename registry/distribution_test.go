package registry

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/registry/credentials"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// requireRegistry is set where the tests with docker-registry must run: .ci/run sets it and
// installs the program. Elsewhere these tests are left out if the program is missing, because
// developers need not install it.
const requireRegistry = "KRUSTLET_WASI_TEST_DOCKER_REGISTRY"

// dockerRegistry starts Debian's docker-registry with TLS and one user, me, whose password is
// secret.
func dockerRegistry(t *testing.T, ca *authority) (host string) {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		if os.Getenv(requireRegistry) != "" {
			t.Fatal(err)
		}
		t.Skipf("docker-registry is not installed (apt-get install docker-registry): %v", err)
	}
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "htpasswd"), append([]byte("me:"), hash...), 0o600); err != nil {
		t.Fatal(err)
	}
	_, certFile, keyFile := ca.sign(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host = listener.Addr().String()
	_ = listener.Close() // the program cannot take an open socket
	config := fmt.Sprintf(`version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %q}}
http: {addr: %q, tls: {certificate: %q, key: %q}}
auth: {htpasswd: {realm: test, path: %q}}
`, filepath.Join(dir, "data"), host, certFile, keyFile, filepath.Join(dir, "htpasswd"))
	if err := os.WriteFile(filepath.Join(dir, "config.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "serve", filepath.Join(dir, "config.yml"))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	eventually.True(t, "docker-registry listens", func() bool {
		c, err := net.DialTimeout("tcp", host, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return host
}

func TestDistribution(t *testing.T) {
	ca := newAuthority(t)
	host := dockerRegistry(t, ca)
	hosts := hostsDir(t, "registry.example", fmt.Sprintf("server = %q\nca = %q\n", "https://"+host, ca.file))
	me := keys{{Username: "me", Password: "secret"}}
	module := wasm("distributed", 3_000_000)
	const image = "registry.example/team/app:v1"
	_, err := Push(t.Context(), image, module, PushConfig{HostsDir: hosts, Keys: keys{{Username: "me", Password: "wrong"}}})
	errorcheck.Is(t, err, fault.ErrUnauthorized)
	var sent int64
	id, err := Push(t.Context(), image, module, PushConfig{HostsDir: hosts, Keys: me, Progress: func(done, _ int64) { sent = done }})
	if err != nil {
		t.Fatal(err)
	}
	if sent < int64(len(module)) {
		t.Errorf("told of %d bytes of %d", sent, len(module))
	}

	_, err = newStore(t, Config{}).pulled(t.Context(), host+"/team/app:v1") // on loopback the certificate is not checked
	errorcheck.Is(t, err, fault.ErrUnauthorized)
	_, err = newStore(t, Config{HostsDir: hostsDir(t, "registry.example", fmt.Sprintf("server = %q\n", "https://"+host))}).Pull(t.Context(), image, me)
	errorcheck.Is(t, err, nil, "certificate")

	s := newStore(t, Config{HostsDir: hosts})
	_, err = s.Pull(t.Context(), "registry.example/team/none:v1", me)
	errorcheck.Is(t, err, fault.ErrNotFound)
	// The second credential is tried after the first is refused, and a part that is already on disk
	// is continued.
	if err := os.WriteFile(s.blobs.path(digestOf(module))+partSuffix, module[:2_000_000], 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := s.Pull(t.Context(), image, keys{secretOf("old", "wrong"), {Username: "me", Password: "secret", Owner: credentials.Owner{Kind: credentials.Secret, Name: "new"}}})
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m.Module, module)
	if m.ImageID != id {
		t.Errorf("pulled %s, pushed %s", m.ImageID, id)
	}
}
