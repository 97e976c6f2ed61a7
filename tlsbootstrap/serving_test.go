package tlsbootstrap

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/certificate"
)

// clusterServer is the server of the cluster, and its authority, for a node's kubeconfig.
func clusterServer(t *testing.T, w *world) (*rest.Config, []byte) {
	t.Helper()
	config := w.Config()
	if err := rest.LoadTLSFiles(config); err != nil {
		t.Fatal(err)
	}
	return &rest.Config{Host: config.Host, TLSClientConfig: rest.TLSClientConfig{CAData: config.CAData}}, config.CAData
}

// verify makes a TLS handshake with s, as a client that trusts the cluster's authority.
func verify(t *testing.T, w *world, s *Serving, name string) error {
	t.Helper()
	_, ca := clusterServer(t, w)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	near, far := net.Pipe()
	server := make(chan error, 1)
	go func() {
		conn := tls.Server(far, &tls.Config{GetCertificate: s.GetCertificate})
		server <- conn.HandshakeContext(t.Context())
	}()
	conn := tls.Client(near, &tls.Config{RootCAs: roots, ServerName: name})
	err := conn.HandshakeContext(t.Context())
	return errors.Join(err, near.Close(), <-server, far.Close())
}

// docs/security.md: "A serving certificate says under which name and address a node is reached, so
// a person approves it."
func TestServingWaitsForApproval(t *testing.T) {
	w := newWorld(t)
	client := clientOf(t, w.joined().Config())
	s, stop := w.serve(client)
	name := w.cfg.Hostname + "-tls"
	w.awaitCSR(name, anyCSR)
	asking := "BOOTSTRAP: TLS certificate requires manual approval. Run kubectl certificate approve " + name + "\n"
	asking += "Look who asks before you approve: kubectl get csr " + name + " must show the REQUESTOR system:node:" + w.cfg.NodeName + "\n"
	w.eventually("line on stdout", func() bool { return w.stdout.String() == asking })
	if _, err := s.GetCertificate(nil); !errors.Is(err, ErrNotReady) {
		t.Errorf("before the approval GetCertificate says %v", err)
	}

	w.Kubectl(t, "certificate", "approve", name)
	w.ready(s)
	if got, want := w.stdout.String(), asking+"BOOTSTRAP: received TLS certificate approval: continuing\n"; got != want {
		t.Errorf("stdout is\n%swant\n%s", got, want)
	}
	for _, host := range []string{w.cfg.Hostname, "127.0.0.1"} {
		if err := verify(t, w, s, host); err != nil {
			t.Errorf("a client that expects %s: %v", host, err)
		}
	}
	if info, err := os.Stat(w.cfg.KeyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", info, err)
	}
	// docs/security.md: "`config/krustlet.crt` | 0644"
	if info, err := os.Stat(w.cfg.CertFile); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the certificate file: %v, %v", info, err)
	}
	stop()

	again, err := NewServing(w.cfg, client)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, w, again, w.cfg.Hostname); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if found := w.csrs(name); len(found) != 1 {
		t.Errorf("there are %d CSRs", len(found))
	}
}

func TestServingAfterAnAddressChange(t *testing.T) {
	w := newWorld(t)
	client := clientOf(t, w.joined().Config())
	s, stop := w.serve(client)
	name := w.cfg.Hostname + "-tls"
	w.awaitCSR(name, anyCSR)
	w.Kubectl(t, "certificate", "approve", name)
	w.ready(s)
	stop()

	w.cfg.IPs = []net.IP{net.IPv4(127, 0, 0, 2)}
	s, _ = w.serve(client)
	// The old CSR still exists, and a node must not delete it.
	second := w.awaitCSR(name+"-", anyCSR)
	w.Kubectl(t, "certificate", "approve", second.Name)
	w.ready(s)
	if err := verify(t, w, s, "127.0.0.2"); err != nil {
		t.Error(err)
	}
}

func TestServingResumesAfterRestart(t *testing.T) {
	w := newWorld(t)
	client := clientOf(t, w.joined().Config())
	_, stop := w.serve(client)
	name := w.cfg.Hostname + "-tls"
	first := w.awaitCSR(name, anyCSR)
	stop()
	s, _ := w.serve(client)
	w.eventually("second line on stdout", func() bool { return strings.Count(w.stdout.String(), "approve "+name+"\n") == 2 })
	w.Kubectl(t, "certificate", "approve", name)
	w.ready(s)
	if found := w.csrs(name); len(found) != 1 || found[0].UID != first.UID {
		t.Errorf("the restart did not go on with its CSR: %v", found)
	}
}

func TestServingDeniedAsksAgain(t *testing.T) {
	w := newWorld(t)
	w.cfg.RefusedBackoff = time.Millisecond
	client := clientOf(t, w.joined().Config())
	s, _ := w.serve(client)
	name := w.cfg.Hostname + "-tls"
	w.awaitCSR(name, anyCSR)
	w.Kubectl(t, "certificate", "deny", name)
	second := w.awaitCSR(name+"-", anyCSR)
	w.eventually("line for the second CSR", func() bool { return strings.Contains(w.stdout.String(), "approve "+second.Name+"\n") })
	w.Kubectl(t, "certificate", "approve", second.Name)
	w.ready(s)
	if err := verify(t, w, s, w.cfg.Hostname); err != nil {
		t.Error(err)
	}
}

func TestServingDeletedCSRAndOutage(t *testing.T) {
	w := newWorld(t)
	proxy := w.Proxy(t)
	w.bootstrapFile("https://"+proxy.Addr(), w.token())
	identity, err := Join(w.context(), w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := w.serve(clientOf(t, identity.Config()))
	name := w.cfg.Hostname + "-tls"
	first := w.awaitCSR(name, anyCSR)
	proxy.Cut()
	w.Kubectl(t, "delete", "csr", name)
	proxy.Restore()
	w.awaitCSR(name, func(c certificatesv1.CertificateSigningRequest) bool { return c.UID != first.UID })
	w.Kubectl(t, "certificate", "approve", name)
	w.ready(s)
}

func TestServingRenews(t *testing.T) {
	w := newWorld(t)
	client := clientOf(t, w.joined().Config())
	certPEM, keyPEM := w.pair(2*time.Second, x509.ExtKeyUsageServerAuth)
	if err := writeFile(w.cfg.CertFile, append([]byte(marker), certPEM...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(w.cfg.KeyFile, keyPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	rotated := make(chan time.Duration, 1)
	w.cfg.Rotated = func(age time.Duration) { rotated <- age }
	s, _ := w.serve(client)
	old := s.cert.Load()
	if old == nil {
		t.Fatal("the certificate on disk is not used")
	}
	name := w.cfg.Hostname + "-tls"
	w.awaitCSR(name, anyCSR)
	if cert, err := s.GetCertificate(nil); err != nil || cert != old {
		t.Errorf("while the renewal waits, GetCertificate gives %v, %v", cert, err)
	}
	w.Kubectl(t, "certificate", "approve", name)
	w.eventually("renewed certificate", func() bool { return s.cert.Load() != old })
	if age, lived := <-rotated, time.Since(old.Leaf.NotBefore); age <= 0 || age > lived {
		t.Errorf("the age of the old certificate is told as %v, it is %v by now", age, lived)
	}
	if err := verify(t, w, s, w.cfg.Hostname); err != nil {
		t.Error(err)
	}
}

func TestClientRenews(t *testing.T) {
	w := newWorld(t)
	server, _ := clusterServer(t, w)
	certPEM, keyPEM := w.pair(4*time.Second, x509.ExtKeyUsageClientAuth)
	if err := writeKubeconfig(w.cfg, server, certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	identity, err := Join(w.context(), w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	client := clientOf(t, identity.Config())
	if got := whoami(t, client); got != "system:node:"+w.cfg.NodeName {
		t.Fatalf("the API server knows us as %s", got)
	}
	expires := identity.cert.current().Leaf.NotAfter
	finished := make(chan error, 1)
	ctx, cancel := contextWithCancel(t)
	go func() { finished <- identity.Run(ctx) }()
	w.eventually("renewed client certificate", func() bool { return time.Now().After(expires) && identity.cert.current().Leaf.NotAfter.After(expires) })
	// The same client still works, with a certificate that has not expired.
	if got := whoami(t, client); got != "system:node:"+w.cfg.NodeName {
		t.Errorf("after the renewal the API server knows us as %s", got)
	}
	if config, err := clientcmd.BuildConfigFromFlags("", w.cfg.Kubeconfig); err != nil {
		t.Error(err)
	} else if got := whoami(t, clientOf(t, config)); got != "system:node:"+w.cfg.NodeName {
		t.Errorf("with the renewed kubeconfig the API server knows us as %s", got)
	}
	cancel()
	if err := <-finished; err != nil {
		t.Errorf("Run says %v", err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(w.cfg.Kubeconfig), "kubeconfig.key.pending")); err == nil {
		t.Error("the pending key was left behind")
	}
}

// TestServingCopiedCSR: another user copies our CSR, with our key and under our name. Any node can
// read CSRs and create one with any name. The signer never signs the copy for us. Then our CSR has
// another name, and the printed line has that name.
//
// docs/security.md: "A node whose CSR's name was taken asks under the name with ten digits behind
// it, and prints that one."
func TestServingCopiedCSR(t *testing.T) {
	w := newWorld(t)
	client := clientOf(t, w.joined().Config())
	name := w.cfg.Hostname + "-tls"
	key, err := pendingKey{w.cfg.KeyFile + pendingSuffix}.load()
	if err != nil {
		t.Fatal(err)
	}
	dns, ips := w.cfg.servingNames()
	copied := request{
		client: w.Client(), log: w.cfg.Log, key: key, name: name, signer: certificatesv1.KubeletServingSignerName,
		cn: w.cfg.commonName(), dns: dns, ips: ips, usages: certificate.DefaultKubeletServingGetUsages(key),
	}
	if _, err := copied.create(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	s, _ := w.serve(client)
	ours := w.awaitCSR(name+"-", anyCSR)
	if ours.Spec.Username != w.cfg.commonName() {
		t.Errorf("it was made by %s", ours.Spec.Username)
	}
	w.eventually("line with the name of ours", func() bool { return strings.Contains(w.stdout.String(), "approve "+ours.Name+"\n") })
	if out := w.stdout.String(); strings.Contains(out, "approve "+name+"\n") {
		t.Errorf("stdout asks to approve the CSR of another user:\n%s", out)
	}
	w.Kubectl(t, "certificate", "approve", ours.Name)
	w.ready(s)
}
