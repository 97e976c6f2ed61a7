package tlsbootstrap

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/certificate"
)

const bootstrapper = "system:node-bootstrapper"

// docs/security.md: "The agent acts as `system:node:NAME` in the group `system:nodes`."
// docs/security.md: "`config/kubeconfig`, `config/krustlet.key`, `config/*.pending` | 0600"
func TestJoinWithBootstrapToken(t *testing.T) {
	w := newWorld(t)
	identity := w.joined()

	if got, want := whoami(t, clientOf(t, identity.Config())), "system:node:"+w.cfg.NodeName; got != want {
		t.Errorf("the API server knows us as %s, want %s", got, want)
	}
	if found := w.csrs(w.cfg.NodeName); len(found) != 1 || found[0].Name != w.cfg.NodeName ||
		found[0].Spec.SignerName != "kubernetes.io/kube-apiserver-client-kubelet" {
		t.Errorf("joining took the CSRs %+v", found)
	}
	info, err := os.Stat(w.cfg.Kubeconfig)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kubeconfig: %v, %v", info, err)
	}
	entries, err := os.ReadDir(filepath.Dir(w.cfg.Kubeconfig))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the kubeconfig there is left %v, %v", entries, err)
	}
	// Every program can use the kubeconfig: it needs no other file.
	if out := w.Kubectl(t, "--kubeconfig", w.cfg.Kubeconfig, "auth", "whoami"); !strings.Contains(out, "system:node:"+w.cfg.NodeName) {
		t.Errorf("kubectl auth whoami says %s", out)
	}
}

func TestJoinAgainNeedsNoServer(t *testing.T) {
	w := newWorld(t)
	proxy := w.Proxy(t)
	w.bootstrapFile("https://"+proxy.Addr(), w.token())
	if _, err := Join(w.context(), w.cfg); err != nil {
		t.Fatal(err)
	}
	proxy.Cut()
	if err := os.Remove(w.cfg.BootstrapFile); err != nil {
		t.Fatal(err)
	}
	identity, err := Join(w.context(), w.cfg)
	if err != nil {
		t.Fatalf("joining with the kubeconfig: %v", err)
	}
	proxy.Restore()
	if got := whoami(t, clientOf(t, identity.Config())); got != "system:node:"+w.cfg.NodeName {
		t.Errorf("the API server knows us as %s", got)
	}
}

func TestJoinBootstrapsAgainWhenExpired(t *testing.T) {
	w := newWorld(t)
	config, _ := clusterServer(t, w)
	certPEM, keyPEM := w.pair(-time.Millisecond, x509.ExtKeyUsageClientAuth)
	if err := writeKubeconfig(w.cfg, config, certPEM, keyPEM); err != nil {
		t.Fatal(err)
	}
	identity := w.joined()
	if got := whoami(t, clientOf(t, identity.Config())); got != "system:node:"+w.cfg.NodeName {
		t.Errorf("the API server knows us as %s", got)
	}
}

func TestJoinResumesAfterRestart(t *testing.T) {
	w := newWorld(t)
	w.bootstrapFile("", w.manualToken(bootstrapper))
	end := w.join()
	first := w.awaitCSR(w.cfg.NodeName, anyCSR)
	if _, err := end(true); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled Join says %v", err)
	}
	if _, err := os.Stat(w.cfg.Kubeconfig); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a kubeconfig was written before there was a certificate: %v", err)
	}
	// The CSR is approved while no agent runs. The key on disk still belongs to it.
	w.Kubectl(t, "certificate", "approve", first.Name)
	end = w.join()
	identity, err := end(false)
	if err != nil {
		t.Fatal(err)
	}
	if got := whoami(t, clientOf(t, identity.Config())); got != "system:node:"+w.cfg.NodeName {
		t.Errorf("the API server knows us as %s", got)
	}
	if found := w.csrs(w.cfg.NodeName); len(found) != 1 || found[0].UID != first.UID {
		t.Errorf("the restart did not go on with its CSR: %v", found)
	}
}

func TestJoinRecreatesDeletedCSR(t *testing.T) {
	w := newWorld(t)
	w.bootstrapFile("", w.manualToken(bootstrapper))
	end := w.join()
	first := w.awaitCSR(w.cfg.NodeName, anyCSR)
	w.Kubectl(t, "delete", "csr", first.Name)
	w.awaitCSR(w.cfg.NodeName, func(c certificatesv1.CertificateSigningRequest) bool { return c.UID != first.UID })
	w.Kubectl(t, "certificate", "approve", w.cfg.NodeName)
	if _, err := end(false); err != nil {
		t.Fatal(err)
	}
}

func TestJoinDenied(t *testing.T) {
	w := newWorld(t)
	w.bootstrapFile("", w.manualToken(bootstrapper))
	end := w.join()
	w.awaitCSR(w.cfg.NodeName, anyCSR)
	w.Kubectl(t, "certificate", "deny", w.cfg.NodeName)
	_, err := end(false)
	check := func(err error) {
		t.Helper()
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Fatalf("a denied Join says %v", err)
		}
		if refused.CSR != w.cfg.NodeName || refused.Condition != certificatesv1.CertificateDenied || refused.Reason != "KubectlDeny" {
			t.Errorf("the refusal is %+v", refused)
		}
		if !strings.Contains(err.Error(), "kubectl delete csr "+w.cfg.NodeName) {
			t.Errorf("the error does not say what to do: %v", err)
		}
	}
	check(err)
	// A supervisor that restarts the agent again and again must not create many CSRs.
	_, err = Join(w.context(), w.cfg)
	check(err)
	if found := w.csrs(w.cfg.NodeName); len(found) != 1 {
		t.Errorf("there are %d CSRs", len(found))
	}
}

func TestJoinNameTaken(t *testing.T) {
	t.Run("and we may not delete", func(t *testing.T) {
		w := newWorld(t)
		other := w.foreignCSR(w.cfg.NodeName, certificatesv1.KubeAPIServerClientKubeletSignerName)
		w.bootstrapFile("", w.manualToken(bootstrapper))
		end := w.join()
		ours := w.awaitCSR(w.cfg.NodeName+"-", anyCSR)
		_, _ = end(true)
		// A restart finds the same CSR.
		end = w.join()
		w.Kubectl(t, "certificate", "approve", ours.Name)
		if _, err := end(false); err != nil {
			t.Fatal(err)
		}
		if found := w.csrs(w.cfg.NodeName); len(found) != 2 || found[0].UID != other.UID && found[1].UID != other.UID {
			t.Errorf("the CSRs are %v", found)
		}
	})
	t.Run("and we may delete", func(t *testing.T) {
		w := newWorld(t)
		other := w.foreignCSR(w.cfg.NodeName, certificatesv1.KubeAPIServerClientKubeletSignerName)
		w.bootstrapFile("", w.manualToken(bootstrapper, csrDeleter(t, w)))
		end := w.join()
		w.awaitCSR(w.cfg.NodeName, func(c certificatesv1.CertificateSigningRequest) bool { return c.UID != other.UID })
		w.Kubectl(t, "certificate", "approve", w.cfg.NodeName)
		if _, err := end(false); err != nil {
			t.Fatal(err)
		}
		if found := w.csrs(w.cfg.NodeName); len(found) != 1 {
			t.Errorf("the CSRs are %v", found)
		}
	})
	t.Run("by one of another kind", func(t *testing.T) {
		w := newWorld(t)
		other := w.foreignCSR(w.cfg.NodeName, certificatesv1.KubeAPIServerClientSignerName)
		w.bootstrapFile("", w.manualToken(bootstrapper, csrDeleter(t, w)))
		end := w.join()
		ours := w.awaitCSR(w.cfg.NodeName+"-", anyCSR)
		w.Kubectl(t, "certificate", "approve", ours.Name)
		if _, err := end(false); err != nil {
			t.Fatal(err)
		}
		if found := w.csrs(w.cfg.NodeName); len(found) != 2 || found[0].UID != other.UID {
			t.Errorf("a person's CSR is gone: %v", found)
		}
	})
}

// csrDeleter makes a role that may delete CSRs.
func csrDeleter(t *testing.T, w *world) string {
	t.Helper()
	role, err := w.Client().RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "csr-deleter-"},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{certificatesv1.GroupName}, Resources: []string{"certificatesigningrequests"}, Verbs: []string{"delete"},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return role.Name
}

func TestJoinSurvivesOutage(t *testing.T) {
	w := newWorld(t)
	proxy := w.Proxy(t)
	w.cfg.ContactTimeout = time.Millisecond // there was an answer already, so this must not matter
	core, seen := observer.New(zap.InfoLevel)
	w.cfg.Log = zap.New(core)
	w.bootstrapFile("https://"+proxy.Addr(), w.manualToken(bootstrapper))
	end := w.join()
	first := w.awaitCSR(w.cfg.NodeName, anyCSR)
	w.eventually("the answer is there", func() bool { return seen.FilterMessage("created a certificate signing request").Len() > 0 })
	proxy.Cut()
	w.Kubectl(t, "certificate", "approve", first.Name)
	w.awaitCSR(w.cfg.NodeName, func(c certificatesv1.CertificateSigningRequest) bool { return len(c.Status.Certificate) > 0 })
	proxy.Restore()
	if _, err := end(false); err != nil {
		t.Fatal(err)
	}
}

func TestJoinRejected(t *testing.T) {
	for _, test := range []struct {
		name  string
		token func(w *world) string
		is    func(error) bool
		says  string
	}{
		{"unknown token", func(*world) string { return "abcdef.0123456789abcdef" }, apierrors.IsUnauthorized, "run hack/bootstrap.sh again"},
		{"token without rights", func(w *world) string { return w.manualToken() }, apierrors.IsForbidden, bootstrapper},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.bootstrapFile("", test.token(w))
			start := time.Now()
			_, err := Join(w.context(), w.cfg)
			if !test.is(err) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Join says %v", err)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %s to say so", took)
			}
			if _, err := os.Stat(w.cfg.Kubeconfig); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a kubeconfig was left: %v", err)
			}
		})
	}
}

// docs/security.md: "A machine between node and API server does not get the token"
func TestJoinUntrustedServer(t *testing.T) {
	w := newWorld(t)
	config, _ := clusterServer(t, w)
	writeBootstrap(t, w.cfg.BootstrapFile, config.Host, "abcdef.0123456789abcdef", selfSigned(t))
	_, err := Join(w.context(), w.cfg)
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), w.cfg.BootstrapFile) {
		t.Errorf("Join says %v", err)
	}
}

func TestJoinUnreachableServer(t *testing.T) {
	// A port that was free a moment ago.
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := door.Addr().String()
	if err := door.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := Config{
		BootstrapFile: filepath.Join(dir, "bootstrap.conf"), Kubeconfig: filepath.Join(dir, "kubeconfig"),
		NodeName: "n", ContactTimeout: time.Millisecond, Log: testLog(t),
	}
	writeBootstrap(t, cfg.BootstrapFile, "https://"+addr, "abcdef.0123456789abcdef", selfSigned(t))
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	_, err = Join(ctx, cfg)
	if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), addr) || strings.Contains(err.Error(), "\n") {
		t.Errorf("Join says %v", err)
	}
}

// docs/security.md: "Node authorization and the admission plugin NodeRestriction bound that to its
// own Node, Lease, pods and certificates."
func TestNodeHasItsOwnRightsAlone(t *testing.T) {
	w := newWorld(t)
	client := clientOf(t, w.joined().Config())
	namespace := w.Namespace(t)
	ctx := t.Context()
	_, own := client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.cfg.NodeName}}, metav1.CreateOptions{})
	if own != nil {
		t.Errorf("its own Node: %v", own)
	}
	_, secret := client.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{})
	_, node := client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "other-" + w.cfg.NodeName}}, metav1.CreateOptions{})
	_, lease := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(ctx,
		&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "other-" + w.cfg.NodeName}}, metav1.CreateOptions{})
	_, pods := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=other"})
	key, err := pendingKey{filepath.Join(t.TempDir(), "key")}.load()
	if err != nil {
		t.Fatal(err)
	}
	// A node may create a CSR for another node's serving certificate, under any name. The signer
	// never signs it.
	other := request{
		client: client, log: w.cfg.Log, key: key, name: "other-" + w.cfg.NodeName, signer: certificatesv1.KubeAPIServerClientKubeletSignerName,
		cn: "system:node:other", usages: certificate.DefaultKubeletClientGetUsages(key),
	}
	_, identity := other.create(ctx, other.name)
	for what, err := range map[string]error{"Secrets": secret, "another Node": node, "another's lease": lease, "another's pods": pods, "another's identity": identity} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
