package testcluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
)

// bootstrapScript runs hack/bootstrap.sh.
type bootstrapScript struct {
	c    *Cluster
	dir  string
	file string
}

func newBootstrapScript(t *testing.T) *bootstrapScript {
	dir := filepath.Join(t.TempDir(), "config")
	return &bootstrapScript{c: Start(t), dir: dir, file: filepath.Join(dir, "bootstrap.conf")}
}

// run returns the script's output and exit code. The environment is added to the usual one.
func (b *bootstrapScript) run(t *testing.T, environment ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(Root(), "hack", "bootstrap.sh"))
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+b.c.Kubeconfig(), "KUBECTL="+binary()+" kubectl",
		"KUBECACHEDIR="+filepath.Join(b.c.Dir(), "kubectl-cache"), "CONFIG_DIR="+b.dir)
	cmd.Env = append(cmd.Env, environment...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// succeed runs the script. The script must succeed and print the word. succeed returns the
// kubeconfig that the script leaves, and the secret of its token.
func (b *bootstrapScript) succeed(t *testing.T, word string, environment ...string) (*rest.Config, *corev1.Secret) {
	t.Helper()
	stdout, stderr, code := b.run(t, environment...)
	if code != 0 || stderr != "" || !strings.Contains(stdout, word) {
		t.Fatalf("exit code %d, output %q, errors %q; want success and the word %q", code, stdout, stderr, word)
	}
	config, err := clientcmd.BuildConfigFromFlags("", b.file)
	if err != nil {
		t.Fatal(err)
	}
	id, _, _ := strings.Cut(config.BearerToken, ".")
	secret, err := b.c.Client().CoreV1().Secrets("kube-system").Get(t.Context(), "bootstrap-token-"+id, metav1.GetOptions{})
	if err != nil {
		t.Fatalf("the secret of the token: %v", err)
	}
	return config, secret
}

// docs/security.md: "The bootstrap token lets its holder ask for node certificates. It is good for
// one hour unless `TOKEN_TTL` says otherwise"
func TestBootstrapScriptMakesToken(t *testing.T) {
	b := newBootstrapScript(t)
	config, secret := b.succeed(t, "made")
	if config.Host != b.c.Config().Host || string(config.CAData) != string(b.c.Config().CAData) {
		t.Errorf("the file leads to %s, or not with the cluster's certificate authority", config.Host)
	}
	if info, err := os.Stat(b.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if left := list(t, b.dir); len(left) != 1 {
		t.Errorf("the folder has %q", left)
	}
	if secret.Type != "bootstrap.kubernetes.io/token" {
		t.Errorf("the secret is of type %s", secret.Type)
	}
	for field, want := range map[string]string{
		"usage-bootstrap-authentication": "true",
		"usage-bootstrap-signing":        "true",
		"auth-extra-groups":              "system:bootstrappers:kubeadm:default-node-token",
	} {
		if got := string(secret.Data[field]); got != want {
			t.Errorf("the secret has %s=%q, want %q", field, got, want)
		}
	}
	expectLifetime(t, secret, time.Hour)
}

func expectLifetime(t *testing.T, secret *corev1.Secret, want time.Duration) {
	t.Helper()
	expiration, err := time.Parse(time.RFC3339, string(secret.Data["expiration"]))
	if err != nil {
		t.Fatalf("the token's expiration: %v", err)
	}
	if left := time.Until(expiration); left > want || left < want-time.Minute {
		t.Errorf("the token is valid for %v, want %v", left, want)
	}
}

// TestBootstrapTokenLetsANodeJoin: with the script and the cluster's RBAC, a node gets its
// certificate and renews it without a person. Its serving certificate waits for an approval.
func TestBootstrapTokenLetsANodeJoin(t *testing.T) {
	b := newBootstrapScript(t)
	config, _ := b.succeed(t, "made")
	const node = "bootstrap-script-node"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	key, request := newRequest(t, node, nil)
	first := createCSR(t, b.c, client, certificatesv1.KubeAPIServerClientKubeletSignerName, request, certificatesv1.UsageClientAuth)
	certificate := waitIssued(t, b.c, first)

	asNode := rest.AnonymousClientConfig(config)
	asNode.CertData, asNode.KeyData = certificate, key
	client, err = kubernetes.NewForConfig(asNode)
	if err != nil {
		t.Fatal(err)
	}
	_, request = newRequest(t, node, []string{"localhost"})
	serving := createCSR(t, b.c, client, certificatesv1.KubeletServingSignerName, request, certificatesv1.UsageServerAuth)
	_, request = newRequest(t, node, nil)
	renewal := createCSR(t, b.c, client, certificatesv1.KubeAPIServerClientKubeletSignerName, request, certificatesv1.UsageClientAuth)
	waitIssued(t, b.c, renewal)

	// The approver has had time: it has approved the later request.
	csr, err := b.c.Client().CertificatesV1().CertificateSigningRequests().Get(t.Context(), serving, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(csr.Status.Conditions) > 0 {
		t.Errorf("the serving certificate was decided without a human: %+v", csr.Status.Conditions)
	}
	b.c.Kubectl(t, "certificate", "approve", serving)
	block, _ := pem.Decode(waitIssued(t, b.c, serving))
	if block == nil {
		t.Fatal("the serving certificate is no PEM")
	}
	issued, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := issued.VerifyHostname("localhost"); err != nil {
		t.Error(err)
	}
}

func newRequest(t *testing.T, node string, names []string) (key, request []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err = keyutil.MarshalPrivateKeyToPEM(private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}},
		DNSNames: names,
	}, private)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func createCSR(t *testing.T, c *Cluster, client kubernetes.Interface, signer string, request []byte, usage certificatesv1.KeyUsage) string {
	t.Helper()
	csr, err := client.CertificatesV1().CertificateSigningRequests().Create(t.Context(), &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: request, SignerName: signer,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, usage},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("asking for a certificate of %s: %v", signer, err)
	}
	t.Cleanup(func() { c.Kubectl(t, "delete", "csr", csr.Name) })
	return csr.Name
}

func waitIssued(t *testing.T, c *Cluster, name string) (certificate []byte) {
	t.Helper()
	eventually.Succeeds(t, func() error {
		csr, err := c.Client().CertificatesV1().CertificateSigningRequests().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if certificate = csr.Status.Certificate; certificate == nil {
			return fmt.Errorf("no certificate yet, conditions %+v", csr.Status.Conditions)
		}
		return nil
	})
	return certificate
}

func TestBootstrapScriptKeepsAValidToken(t *testing.T) {
	b := newBootstrapScript(t)
	first, _ := b.succeed(t, "made")
	before, err := os.Stat(b.file)
	if err != nil {
		t.Fatal(err)
	}
	second, _ := b.succeed(t, "kept")
	after, err := os.Stat(b.file)
	if err != nil {
		t.Fatal(err)
	}
	if first.BearerToken != second.BearerToken || !os.SameFile(before, after) {
		t.Error("the second run replaced what the first made")
	}
	// Everything in the file is wrong except the token. The script keeps only the token.
	content, err := os.ReadFile(b.file)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.ReplaceAll(string(content), "127.0.0.1", "127.0.0.2")
	if err := os.WriteFile(b.file, []byte(wrong), 0o644); err != nil {
		t.Fatal(err)
	}
	third, _ := b.succeed(t, "kept")
	if third.BearerToken != first.BearerToken || third.Host != first.Host {
		t.Errorf("a file with a wrong server was left with %s", third.Host)
	}
	if info, err := os.Stat(b.file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
}

func TestBootstrapScriptReplacesAToken(t *testing.T) {
	b := newBootstrapScript(t)
	_, secret := b.succeed(t, "made", "TOKEN_TTL=10 minutes")
	expectLifetime(t, secret, 10*time.Minute)

	// The token expires soon, but the cluster's token cleaner does not remove it yet.
	secret.Data["expiration"] = []byte(time.Now().UTC().Add(30 * time.Second).Format(time.RFC3339))
	secrets := b.c.Client().CoreV1().Secrets("kube-system")
	if _, err := secrets.Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, next := b.succeed(t, "replaced", "TOKEN_TTL=2d")
	expectLifetime(t, next, 48*time.Hour)
	if _, err := secrets.Get(t.Context(), secret.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the secret of the replaced token: %v, want that it is gone", err)
	}

	// The token does not exist any more, as after the token cleaner or in another cluster.
	if err := secrets.Delete(t.Context(), next.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, last := b.succeed(t, "made")
	if last.Name == next.Name {
		t.Error("a token that the cluster does not know was kept")
	}
}

// writeKubeconfig writes the administrator's kubeconfig with a change.
func writeKubeconfig(t *testing.T, c *Cluster, change func(*clientcmdapi.Config, *clientcmdapi.Cluster, *clientcmdapi.AuthInfo)) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	context := config.Contexts[config.CurrentContext]
	change(config, config.Clusters[context.Cluster], config.AuthInfos[context.AuthInfo])
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestBootstrapScriptReadsTheAuthorityFromAFile(t *testing.T) {
	b := newBootstrapScript(t)
	kubeconfig := writeKubeconfig(t, b.c, func(_ *clientcmdapi.Config, cluster *clientcmdapi.Cluster, _ *clientcmdapi.AuthInfo) {
		cluster.CertificateAuthorityData = nil
		cluster.CertificateAuthority = filepath.Join(b.c.Dir(), "pki", "ca.crt")
	})
	config, _ := b.succeed(t, "made", "KUBECONFIG="+kubeconfig, "FILE_NAME=bootstrap.conf")
	if string(config.CAData) != string(b.c.Config().CAData) {
		t.Error("the file has not the cluster's certificate authority")
	}
}

func TestBootstrapScriptRefuses(t *testing.T) {
	b := newBootstrapScript(t)
	type (
		all  = clientcmdapi.Config
		at   = clientcmdapi.Cluster
		user = clientcmdapi.AuthInfo
	)
	kubeconfig := func(change func(*all, *at, *user)) string {
		return "KUBECONFIG=" + writeKubeconfig(t, b.c, change)
	}
	closed, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unused := closed.Addr().String()
	_ = closed.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, environment, want string }{
		{"no kubectl", "KUBECTL=no-such-kubectl --flag", "kubectl is not found as 'no-such-kubectl --flag'"},
		{"no context", "KUBECONFIG=" + file, "no current context"},
		{"unknown context", kubeconfig(func(c *all, _ *at, _ *user) { c.CurrentContext = "gone" }), "the current context cannot be used"},
		{"authority file missing", kubeconfig(func(_ *all, c *at, _ *user) {
			c.CertificateAuthorityData, c.CertificateAuthority = nil, "/no/such/ca.crt"
		}), "/no/such/ca.crt"},
		{"no authority", kubeconfig(func(_ *all, c *at, _ *user) {
			c.CertificateAuthorityData, c.InsecureSkipTLSVerify = nil, true
		}), "has no certificate authority"},
		{"unreachable", kubeconfig(func(_ *all, c *at, _ *user) { c.Server = "https://" + unused }), "https://" + unused + " cannot be used"},
		{"not permitted", kubeconfig(func(_ *all, _ *at, u *user) { u.Impersonate = "jane" }), "may not create secrets in kube-system"},
		{"folder not writable", "CONFIG_DIR=" + file, "cannot write to the folder " + file},
		{"folder below a file", "CONFIG_DIR=" + file + "/deep", "cannot write to the folder"},
		{"file name with a folder", "FILE_NAME=../x", "is not a file's name"},
		{"nonsense lifetime", "TOKEN_TTL=a while", "TOKEN_TTL 'a while' is not understood"},
		{"no lifetime", "TOKEN_TTL=0 hours", "is not understood"},
	} {
		t.Run(test.name, func(t *testing.T) {
			stdout, stderr, code := b.run(t, test.environment)
			if code != 1 || stdout != "" {
				t.Errorf("exit code %d, output %q; want 1 and none", code, stdout)
			}
			if !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("it said %q, want one line with %q", stderr, test.want)
			}
		})
	}
	if left := list(t, b.dir); len(left) > 0 {
		t.Errorf("refusals left %q", left)
	}
}

func TestBootstrapScriptHints(t *testing.T) {
	b := newBootstrapScript(t)
	bindings := b.c.Client().RbacV1().ClusterRoleBindings()
	for _, name := range []string{"krustlet:node-bootstrapper", "krustlet:approve-node-client"} {
		binding, err := bindings.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := bindings.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		// The API server needs a moment to notice that the binding was deleted.
		eventually.Succeeds(t, func() error {
			stdout, stderr, code := b.run(t)
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if !strings.Contains(stderr, "kubectl create clusterrolebinding "+name) {
				return fmt.Errorf("no hint at %s in %q, %q", name, stdout, stderr)
			}
			return nil
		})
		binding.ResourceVersion, binding.UID = "", ""
		if _, err := bindings.Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually.Succeeds(t, func() error {
		if _, stderr, _ := b.run(t); stderr != "" {
			return errors.New(stderr)
		}
		return nil
	})
}
