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
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	ocilayout "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/client-go/util/cert"
)

// program is the content and configuration of one of the tests' images.
type program struct {
	file            string // the guest's path
	entrypoint, cmd []string
	ports           []string // ports that the image exposes
	user            string
	certified       bool // it has /localhost.crt and /localhost.key
}

// programs are the images that the guest replaces.
var programs = map[string]program{
	"agnhost": {
		// It exposes no ports. The node would listen at them for the first container of a pod,
		// and the guest can listen itself.
		file: "/agnhost", entrypoint: []string{"/agnhost"}, cmd: []string{"pause"}, certified: true,
	},
	"busybox":           {file: "/bin/busybox", cmd: []string{"sh"}},
	"glibc-dns-testing": {file: "/bin/busybox", cmd: []string{"sh"}},
	"nginx":             {file: "/usr/sbin/nginx", entrypoint: []string{"/usr/sbin/nginx"}, ports: []string{"80/tcp"}},
	"nonroot":           {file: "/bin/busybox", cmd: []string{"id", "-u"}, user: "1234"},
	"pause":             {file: "/pause", entrypoint: []string{"/pause"}},
}

// sources are the suite's names for its image registries. All of them mean the registry here,
// except one, which must have no images.
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
	go func() { _ = s.server.Serve(listener) }() // close ends it
	var list strings.Builder
	for _, source := range sources {
		fmt.Fprintf(&list, "%s: %s/e2e\n", source, s.host)
	}
	fmt.Fprintf(&list, "invalidRegistry: %s/invalid\n", s.host)
	return os.WriteFile(s.sourceList(), []byte(list.String()), 0o600)
}

// sourceList is the file that tells the suite where its images are.
func (s *site) sourceList() string { return filepath.Join(s.dir, "registries.yaml") }

// publish publishes the guest, bin/e2e.wasm, under every name by which the suite asks for one of
// its programs.
func (s *site) publish(ctx context.Context) error {
	guest, err := os.ReadFile("bin/e2e.wasm")
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
		base, _, _ := strings.Cut(path.Base(image), ":")
		p, known := programs[base]
		// No client asks another registry.
		if !strings.HasPrefix(image, s.host+"/") || !known {
			continue
		}
		ref, err := name.ParseReference(image)
		if err != nil {
			return err
		}
		built, err := p.image(guest)
		if err != nil {
			return fmt.Errorf("making %s: %w", image, err)
		}
		if err := remote.Write(ref, built, remote.WithContext(ctx)); err != nil {
			return fmt.Errorf("publishing %s: %w", image, err)
		}
	}
	return nil
}

// image is a container image for wasip1/wasm, with the guest as its program.
func (p program) image(guest []byte) (v1.Image, error) {
	files := map[string][]byte{strings.TrimPrefix(p.file, "/"): guest}
	if p.certified {
		certificate, key, err := cert.GenerateSelfSignedCertKey("localhost", nil, nil)
		if err != nil {
			return nil, fmt.Errorf("making the certificate of localhost: %w", err)
		}
		files["localhost.crt"], files["localhost.key"] = certificate, key
	}
	layer, err := crane.Layer(files)
	if err != nil {
		return nil, err
	}
	exposed := map[string]struct{}{}
	for _, port := range p.ports {
		exposed[port] = struct{}{}
	}
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "wasip1", Architecture: "wasm", Config: v1.Config{
		Entrypoint: p.entrypoint, Cmd: p.cmd, User: p.user, ExposedPorts: exposed,
	}})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(image, layer)
}
