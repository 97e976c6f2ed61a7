package tlsbootstrap

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
)

func TestMain(m *testing.M) { os.Exit(testcluster.Main(m)) }

// patient bounds each wait for the control plane.
const patient = 60 * time.Second

// world is a cluster, and one node that wants to join it.
type world struct {
	*testcluster.Cluster
	t      *testing.T
	dir    string
	cfg    Config
	stdout *lines
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	name := "node-" + strings.ToLower(rand.Text()[:8])
	w := &world{Cluster: testcluster.Start(t), t: t, dir: dir, stdout: &lines{}}
	w.cfg = Config{
		BootstrapFile: filepath.Join(dir, "bootstrap.conf"),
		Kubeconfig:    filepath.Join(dir, "config", "kubeconfig"),
		NodeName:      name,
		Hostname:      name + ".test",
		IPs:           []net.IP{net.IPv4(127, 0, 0, 1)},
		CertFile:      filepath.Join(dir, "config", "krustlet.crt"),
		KeyFile:       filepath.Join(dir, "config", "krustlet.key"),
		Stdout:        w.stdout,
		Log:           testLog(t),
	}
	return w
}

// testLog returns a log of the test. Code that runs after the test must not use it.
func testLog(t *testing.T) *zap.Logger { return zaptest.NewLogger(t) }

// context returns a context that ends with the test, or after patient.
func (w *world) context() context.Context {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patient)
	w.t.Cleanup(cancel)
	return ctx
}

// token makes a bootstrap token. The controller manager approves its client CSRs.
func (w *world) token() string {
	w.t.Helper()
	id, secret := strings.ToLower(rand.Text()[:6]), strings.ToLower(rand.Text()[:16])
	_, err := w.Client().CoreV1().Secrets(metav1.NamespaceSystem).Create(w.t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "bootstrap-token-" + id},
		Type:       corev1.SecretTypeBootstrapToken,
		StringData: map[string]string{
			"token-id": id, "token-secret": secret, "usage-bootstrap-authentication": "true",
			"expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatalf("making a bootstrap token: %v", err)
	}
	return id + "." + secret
}

// manualToken makes a token that may request certificates. Its CSRs are not approved automatically.
func (w *world) manualToken(roles ...string) string {
	w.t.Helper()
	ctx, namespace := w.t.Context(), w.Namespace(w.t)
	for _, role := range roles {
		_, err := w.Client().RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "default"}},
		}, metav1.CreateOptions{})
		if err != nil {
			w.t.Fatalf("binding %s: %v", role, err)
		}
	}
	request, err := w.Client().CoreV1().ServiceAccounts(namespace).CreateToken(ctx, "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatalf("making a token: %v", err)
	}
	return request.Status.Token
}

// bootstrapFile writes cfg.BootstrapFile for a server. An empty server means the cluster's.
func (w *world) bootstrapFile(server, token string) {
	w.t.Helper()
	config := w.Config()
	if err := rest.LoadTLSFiles(config); err != nil {
		w.t.Fatal(err)
	}
	if server == "" {
		server = config.Host
	}
	writeBootstrap(w.t, w.cfg.BootstrapFile, server, token, config.CAData)
}

func writeBootstrap(t *testing.T, path, server, token string, ca []byte) {
	t.Helper()
	raw := clientcmdapi.NewConfig()
	raw.Clusters["c"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	raw.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token}
	raw.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	raw.CurrentContext = "x"
	if err := clientcmd.WriteToFile(*raw, path); err != nil {
		t.Fatal(err)
	}
}

// joined lets the node join with a token and returns its identity.
func (w *world) joined() *Identity {
	w.t.Helper()
	w.bootstrapFile("", w.token())
	identity, err := Join(w.context(), w.cfg)
	if err != nil {
		w.t.Fatalf("joining: %v", err)
	}
	return identity
}

// join runs Join in a goroutine. The returned function waits for it, and cancels it before if
// cancel is set.
func (w *world) join() (end func(cancel bool) (*Identity, error)) {
	ctx, cancel := context.WithCancel(w.context())
	w.t.Cleanup(cancel)
	type result struct {
		identity *Identity
		err      error
	}
	done := make(chan result, 1)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		identity, err := Join(ctx, w.cfg)
		done <- result{identity, err}
	}()
	w.t.Cleanup(func() { cancel(); <-finished })
	return func(stop bool) (*Identity, error) {
		if stop {
			cancel()
		}
		r := <-done
		return r.identity, r.err
	}
}

// serve runs a Serving in a goroutine until stop is called.
func (w *world) serve(client kubernetes.Interface) (s *Serving, stop func()) {
	w.t.Helper()
	s, err := NewServing(w.cfg, client)
	if err != nil {
		w.t.Fatalf("NewServing: %v", err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		if err := s.Run(ctx); err != nil {
			w.t.Errorf("Serving.Run: %v", err)
		}
	}()
	stop = func() { cancel(); <-finished }
	w.t.Cleanup(stop)
	return s, stop
}

func (w *world) ready(s *Serving) {
	w.t.Helper()
	select {
	case <-s.ready:
	case <-time.After(patient):
		w.t.Fatalf("no serving certificate after %s; stdout:\n%s", patient, w.stdout)
	}
}

func clientOf(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// whoami returns the user name by which the API server knows a client.
func whoami(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	review, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("asking who we are: %v", err)
	}
	return review.Status.UserInfo.Username
}

// csrs returns the CSRs whose names begin with prefix.
func (w *world) csrs(prefix string) []certificatesv1.CertificateSigningRequest {
	w.t.Helper()
	list, err := w.Client().CertificatesV1().CertificateSigningRequests().List(w.t.Context(), metav1.ListOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	var found []certificatesv1.CertificateSigningRequest
	for _, c := range list.Items {
		if strings.HasPrefix(c.Name, prefix) {
			found = append(found, c)
		}
	}
	return found
}

// awaitCSR waits for a CSR whose name begins with prefix, and for which the function is returns
// true.
func (w *world) awaitCSR(prefix string, is func(certificatesv1.CertificateSigningRequest) bool) certificatesv1.CertificateSigningRequest {
	w.t.Helper()
	var found certificatesv1.CertificateSigningRequest
	w.eventually("a CSR "+prefix, func() bool {
		for _, c := range w.csrs(prefix) {
			if is(c) {
				found = c
				return true
			}
		}
		return false
	})
	return found
}

func anyCSR(certificatesv1.CertificateSigningRequest) bool { return true }

func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	eventually.Within(w.t, patient, what, done)
}

// foreignCSR creates a pending CSR for another key, under a name that ours would have.
func (w *world) foreignCSR(name, signer string) certificatesv1.CertificateSigningRequest {
	w.t.Helper()
	key, err := pendingKey{filepath.Join(w.t.TempDir(), "key")}.load()
	if err != nil {
		w.t.Fatal(err)
	}
	r := request{
		client: w.Client(), log: zap.NewNop(), key: key, name: name, signer: signer, cn: w.cfg.commonName(),
		usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
	}
	if _, err := r.create(w.t.Context(), name); err != nil {
		w.t.Fatal(err)
	}
	return w.awaitCSR(name, anyCSR)
}

// sign makes a certificate signed by the cluster's own authority.
func (w *world) sign(public any, lifetime time.Duration, usage x509.ExtKeyUsage) []byte {
	w.t.Helper()
	ca, err := tls.LoadX509KeyPair(filepath.Join(w.Dir(), "pki", "ca.crt"), filepath.Join(w.Dir(), "pki", "ca.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	dns, ips := w.cfg.servingNames()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: w.cfg.commonName(), Organization: []string{nodesGroup}},
		NotBefore:    time.Now().Add(-time.Second),
		NotAfter:     time.Now().Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{usage},
		DNSNames:     dns, IPAddresses: ips,
	}, ca.Leaf, public, ca.PrivateKey)
	if err != nil {
		w.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// pair makes a key and a certificate for it.
func (w *world) pair(lifetime time.Duration, usage x509.ExtKeyUsage) (certPEM, keyPEM []byte) {
	w.t.Helper()
	key, err := pendingKey{filepath.Join(w.t.TempDir(), "key")}.load()
	if err != nil {
		w.t.Fatal(err)
	}
	keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.sign(key.Public(), lifetime, usage), keyPEM
}

// lines is an output that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
