package e2e

import (
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestEgressRoots: a request over TLS reaches a server whose authority a volume of the pod has, and
// fails without the annotation. The name in the certificate is in the pod's hosts file.
//
// docs/outgoing-http.md: "The annotation names volumes of the pod whose files are certificates in
// PEM".
func TestEgressRoots(t *testing.T) {
	t.Parallel()
	server, address := secureServer(t)
	// For guests with an address of their own, loopback is their pod.
	s := newSuite(t, "", "--pod-cidr=none", "--egress-limit=*,"+address)
	image := s.images.PushGuest(t, "experimental")
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ns := s.cluster.Namespace(t)
	s.configMap(t, ns, "authority", map[string]string{
		"ca.crt": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
	})
	for name, c := range map[string]struct {
		roots, want string
	}{
		"trusts":       {"ca", "200\ntext/plain\nover TLS\n"},
		"trusts-no-ca": {"", "req 11\n"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := s.pod(name, image, "GET", "https://example.com:"+port+"/")
			pod.Annotations = map[string]string{"krustlet-wasi.dev/egress": "example.com:" + port}
			if c.roots != "" {
				pod.Annotations["krustlet-wasi.dev/egress-roots"] = c.roots
			}
			pod.Spec.RestartPolicy = corev1.RestartPolicyNever
			pod.Spec.HostAliases = []corev1.HostAlias{{IP: address, Hostnames: []string{"example.com"}}}
			pod.Spec.Volumes = []corev1.Volume{{Name: "ca", VolumeSource: configMapSource("authority")}}
			s.create(t, ns, pod)
			s.await(t, ns, name, func(p *corev1.Pod) error {
				if p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
					return fmt.Errorf("the phase is %s", p.Status.Phase)
				}
				return nil
			})
			if log := s.cluster.Kubectl(t, "logs", "-n", ns, name); log != c.want {
				t.Errorf("the guest said %q, want %q", log, c.want)
			}
		})
	}
}

// secureServer serves over TLS, as example.com, at a loopback address of its own.
func secureServer(t *testing.T) (server *httptest.Server, address string) {
	t.Helper()
	address = testnode.Address()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("over TLS\n"))
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, address
}
