package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// TestTutorial joins a node as the tutorials say: KUBECONFIG names the bootstrap file itself.
func TestTutorial(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	images := testnode.NewRegistry(t)
	n := testnode.New(t, cluster, "")
	n.Env = []string{"KUBECONFIG=" + n.Bootstrap}
	before, err := os.ReadFile(n.Bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	n.Join(t)
	s := &suite{cluster: cluster, node: n, images: images, hello: images.PushGuest(t, "hello")}

	if after, err := os.ReadFile(n.Bootstrap); err != nil || string(after) != string(before) {
		t.Errorf("the bootstrap file was changed (%v)", err)
	}
	kubeconfig := filepath.Join(n.DataDir, "config", "kubeconfig")
	if info, err := os.Stat(kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the node's kubeconfig: %v %v", info, err)
	}
	wide := cluster.Kubectl(t, "get", "node", n.Name, "-o", "wide")
	for _, want := range []string{"Ready", n.IP, "wasmtime://"} {
		if !strings.Contains(wide, want) {
			t.Errorf("kubectl get nodes -o wide lacks %q:\n%s", want, wide)
		}
	}

	ns := cluster.Namespace(t)
	manifest := filepath.Join(t.TempDir(), "pod.yaml")
	text := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  name: hello
spec:
  containers:
  - name: hello
    image: %s
    args: ["0", "100ms"]
  nodeSelector:
    kubernetes.io/arch: wasm32-wasi
    kubernetes.io/hostname: %s
  tolerations:
  - key: kubernetes.io/arch
    operator: Equal
    value: wasm32-wasi
    effect: NoSchedule
  - key: kubernetes.io/arch
    operator: Equal
    value: wasm32-wasi
    effect: NoExecute
  terminationGracePeriodSeconds: 1
`, s.hello, n.Name)
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster.Kubectl(t, "apply", "-n", ns, "-f", manifest)
	cluster.Kubectl(t, "wait", "-n", ns, "--for=condition=Ready", "pod/hello", "--timeout=4m")
	if out := cluster.Kubectl(t, "get", "pods", "-n", ns); !strings.Contains(out, "1/1") || !strings.Contains(out, "Running") {
		t.Errorf("kubectl get pods:\n%s", out)
	}
	follow, out := s.kubectl(t, "logs", "-n", ns, "-f", "hello", "--limit-bytes=200")
	if err := follow.Run(); err != nil || !strings.HasPrefix(out.String(), "hello from WebAssembly, line 1\nhello from WebAssembly, line 2\n") {
		t.Errorf("kubectl logs -f: %v\n%s", err, out)
	}
	cluster.Kubectl(t, "delete", "pod", "-n", ns, "hello", "--wait=true", "--timeout=60s")

	// After a restart the node needs no bootstrap file and no approval.
	n.Stop(t)
	if err := os.Remove(n.Bootstrap); err != nil {
		t.Fatal(err)
	}
	n.Env = nil
	again := n.Start(t)
	n.WaitReady(t)
	if strings.Contains(again.Stdout(), "requires manual approval") {
		t.Errorf("the serving certificate was not kept:\n%s", again.Stdout())
	}
}

// TestServingCertificate: a node waits for the approval of one request, also over a restart. A
// denial does not end the node.
func TestServingCertificate(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	csrs := cluster.Client().CertificatesV1().CertificateSigningRequests()
	n := testnode.New(t, cluster, "")
	const ask = "BOOTSTRAP: TLS certificate requires manual approval. Run kubectl certificate approve "
	p := n.Start(t)
	if line := p.WaitOutput(t, ask); line != ask+n.Name+"-tls" {
		t.Fatalf("asks for approval with %q", line)
	}
	first, err := csrs.Get(context.Background(), n.Name+"-tls", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.Stop(t)
	p = n.Start(t)
	p.WaitOutput(t, ask+n.Name+"-tls")
	second, err := csrs.Get(context.Background(), n.Name+"-tls", metav1.GetOptions{})
	if err != nil || first.UID != second.UID {
		t.Fatalf("the request was not picked up again: %v", err)
	}
	cluster.Kubectl(t, "certificate", "deny", n.Name+"-tls")
	testnode.Eventually(t, func() error {
		if !strings.Contains(p.Stderr(), "denied") && !strings.Contains(p.Stderr(), "Denied") {
			return errors.New("the denial is not in the log")
		}
		return nil
	})
	n.WaitReady(t)
}

// TestClientCertificateDenied: if an administrator denies the node's identity, the agent exits and
// says why.
func TestClientCertificateDenied(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	n := testnode.New(t, cluster, "")
	// This user may ask for certificates but is not a bootstrapper, so the cluster does not approve
	// the request itself.
	ns := cluster.Namespace(t)
	cluster.Kubectl(t, "create", "serviceaccount", "-n", ns, "joiner")
	cluster.Kubectl(t, "create", "clusterrolebinding", ns, "--clusterrole=system:node-bootstrapper", "--serviceaccount="+ns+":joiner")
	t.Cleanup(func() { cluster.Kubectl(t, "delete", "clusterrolebinding", ns) })
	token := strings.TrimSpace(cluster.Kubectl(t, "create", "token", "-n", ns, "joiner"))
	text := edit(t, readFile(t, n.Bootstrap), "token:", "    token: "+token+"\n")
	if err := os.WriteFile(n.Bootstrap, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := n.Start(t)
	testnode.Eventually(t, func() error {
		_, err := cluster.Client().CertificatesV1().CertificateSigningRequests().Get(context.Background(), n.Name, metav1.GetOptions{})
		return err
	})
	cluster.Kubectl(t, "certificate", "deny", n.Name)
	if code := p.Wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if log := p.Stderr(); !strings.Contains(log, n.Name) || !strings.Contains(log, "denied") && !strings.Contains(log, "Denied") {
		t.Errorf("the log does not say why:\n%s", log)
	}
}

// TestNodeDeleted: if a user deletes the Node object, the agent makes it again.
func TestNodeDeleted(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	n := testnode.New(t, cluster, "")
	n.Join(t)
	nodes := cluster.Client().CoreV1().Nodes()
	old, err := nodes.Get(context.Background(), n.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cluster.Kubectl(t, "delete", "node", n.Name)
	testnode.Eventually(t, func() error {
		now, err := nodes.Get(context.Background(), n.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if now.UID == old.UID {
			return errors.New("still the old one")
		}
		return nil
	})
	n.WaitReady(t)
}

// TestRestart: the machine restarts, so the agent and its workers have exited. A pod that had ended
// stays so. A pod that ran shows the true end of its run and runs again. A pod that was deleted in
// the meantime is removed.
func TestRestart(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	finished := s.pod("finished", s.kitchen, "exit", "0")
	finished.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, finished)
	runs := s.create(t, ns, s.pod("runs", s.tiny))
	deleted := s.create(t, ns, s.pod("deleted", s.tiny))
	s.awaitPhase(t, ns, "finished", corev1.PodSucceeded)
	s.awaitPhase(t, ns, "runs", corev1.PodRunning)
	s.awaitPhase(t, ns, "deleted", corev1.PodRunning)
	s.node.Kill(t)
	for _, w := range s.node.Workers(t) {
		kill(t, w.PID, syscall.SIGKILL)
	}
	s.delete(t, deleted)
	s.node.Start(t)
	s.awaitGone(t, deleted)
	pod := s.await(t, ns, "runs", func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses[0]; c.RestartCount != 1 || c.State.Running == nil {
			return errors.New("not running again")
		}
		return nil
	})
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; pod.UID != runs.UID || last == nil || last.ExitCode != 137 || last.Reason != "Error" || last.Message == "" {
		t.Errorf("last state %+v", last)
	}
	if pod, err := s.get(ns, "finished"); err != nil || pod.Status.Phase != corev1.PodSucceeded || pod.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("the finished pod: %+v %v", pod.Status, err)
	}
	testnode.Eventually(t, func() error {
		folder := filepath.Join(s.node.DataDir, "pods", string(deleted.UID))
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			return errors.Join(err, fmt.Errorf("the deleted pod's folder %s is still there", folder))
		}
		return nil
	})
}

// TestAPIServerAway disconnects the node from the API server for 30 s. Guests continue. The node
// applies later what changed during that time.
func TestAPIServerAway(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	proxy := cluster.Proxy(t)
	s := newSuite(t, through(t, cluster, proxy))
	ns := cluster.Namespace(t)
	stays := s.create(t, ns, s.pod("stays", s.hello, "0", "100ms"))
	goes := s.create(t, ns, s.pod("goes", s.tiny))
	ends := s.pod("ends", s.kitchen, "sleep", "5s")
	ends.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, ends)
	for _, name := range []string{"stays", "goes", "ends"} {
		s.awaitPhase(t, ns, name, corev1.PodRunning)
	}
	for range 8 { // an API server that restarts again and again
		proxy.Cut()
		<-time.NewTimer(200 * time.Millisecond).C
		proxy.Restore()
		<-time.NewTimer(300 * time.Millisecond).C
	}
	proxy.Cut()
	back := time.NewTimer(30 * time.Second)
	s.delete(t, goes)
	s.create(t, ns, s.pod("comes", s.tiny))
	<-back.C
	proxy.Restore()
	s.awaitPhase(t, ns, "comes", corev1.PodRunning)
	s.awaitPhase(t, ns, "ends", corev1.PodSucceeded)
	s.awaitGone(t, goes)
	pod, err := s.get(ns, "stays")
	if err != nil || pod.UID != stays.UID || pod.Status.ContainerStatuses[0].RestartCount != 0 || pod.Status.ContainerStatuses[0].State.Running == nil {
		t.Errorf("the pod that ran on: %+v %v", pod.Status, err)
	}
	s.node.WaitReady(t)
}

// through is an administrator's kubeconfig that leads through the proxy to the API server.
func through(t *testing.T, cluster *testcluster.Cluster, proxy *testcluster.Proxy) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range config.Clusters {
		c.Server = "https://" + proxy.Addr()
	}
	path := filepath.Join(t.TempDir(), "proxied.kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBadInput: each mistake has one clear line and an exit code that is not 0. No file is left
// incomplete.
func TestBadInput(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	n := testnode.New(t, cluster, "")
	n.Join(t)
	good := testnode.New(t, cluster, "")
	bootstrap := readFile(t, good.Bootstrap)
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	noCA := write("no-ca.conf", dropLines(bootstrap, "certificate-authority-data"))
	unreachable := write("unreachable.conf", replaceServer(t, bootstrap, "https://127.0.0.1:1"))
	unknown := write("unknown.conf", replaceToken(t, bootstrap))

	for name, tt := range map[string]struct {
		args []string
		says []string
	}{
		"missing bootstrap file":  {[]string{"--bootstrap-file", "/nowhere/bootstrap.conf"}, []string{"/nowhere/bootstrap.conf"}},
		"bootstrap without a CA":  {[]string{"--bootstrap-file", noCA}, []string{noCA, "certificate"}},
		"bootstrap is no YAML":    {[]string{"--bootstrap-file", write("bad.conf", "{{")}, []string{"bad.conf"}},
		"unknown token":           {[]string{"--bootstrap-file", unknown}, []string{"token"}},
		"port in use":             {[]string{"--bootstrap-file", good.Bootstrap, "--addr", n.IP}, []string{"3000", "in use"}},
		"invalid node name":       {[]string{"--bootstrap-file", good.Bootstrap, "--node-name", "Not_Valid"}, []string{"Not_Valid"}},
		"data directory in use":   {[]string{"--bootstrap-file", good.Bootstrap, "--data-dir", n.DataDir}, []string{n.DataDir}},
		"unreachable server":      {[]string{"--bootstrap-file", unreachable}, []string{"127.0.0.1:1"}},
		"unknown flag":            {[]string{"--bootstrap-fil", "x"}, []string{"--bootstrap-fil"}},
		"a pod limit that is nil": {[]string{"--bootstrap-file", good.Bootstrap, "--max-pods", "0"}, []string{"max-pods"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			address := testnode.Address()
			args := append([]string{"--node-name", "bad-input", "--hostname", "bad-input", "--node-ip", address, "--addr", address,
				"--data-dir", data, "--log-format", "console", "--log-level", "error"}, tt.args...)
			p := testnode.Run(t, nil, args...)
			if code := p.Wait(t); code == 0 {
				t.Error("exit code 0")
			}
			said := ""
			for line := range strings.Lines(p.Stderr()) {
				if strings.HasPrefix(line, "krustlet-wasi: ") {
					said += line
				}
			}
			for _, want := range tt.says {
				if !strings.Contains(said, want) {
					t.Errorf("does not say %q:\n%s", want, p.Stderr())
				}
			}
			if strings.Count(said, "\n") != 1 {
				t.Errorf("more than one line, or none:\n%s", p.Stderr())
			}
			if _, err := os.Stat(filepath.Join(data, "config", "kubeconfig")); !os.IsNotExist(err) {
				t.Errorf("a kubeconfig was left behind (%v)", err)
			}
		})
	}
	_, err := cluster.Client().CoreV1().Nodes().Get(context.Background(), "bad-input", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("a node was registered: %v", err)
	}
}

// TestSignals: SIGINT and SIGTERM end the agent cleanly while guests run.
func TestSignals(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("spins", s.kitchen, "spin"))
	s.awaitPhase(t, ns, "spins", corev1.PodRunning)
	p := s.node.Process()
	p.Signal(t, syscall.SIGINT)
	if code := p.Wait(t); code != 0 {
		t.Errorf("exit code %d after SIGINT", code)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func dropLines(text, with string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, with) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func replaceServer(t *testing.T, kubeconfig, server string) string {
	return edit(t, kubeconfig, "server:", "    server: "+server+"\n")
}

func replaceToken(t *testing.T, kubeconfig string) string {
	return edit(t, kubeconfig, "token:", "    token: aaaaaa.0123456789abcdef\n")
}

func edit(t *testing.T, text, with, line string) string {
	t.Helper()
	var out strings.Builder
	found := false
	for l := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(l), with) {
			l, found = line, true
		}
		out.WriteString(l)
	}
	if !found {
		t.Fatalf("no line with %q in:\n%s", with, text)
	}
	return out.String()
}
