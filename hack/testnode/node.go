package testnode

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/workers"
)

// Port is the port of every node's API. Each node has its own address.
const Port = 3000

// Node is one agent and its files.
type Node struct {
	Name    string
	IP      string
	DataDir string
	// Bootstrap is the path of the node's bootstrap file.
	Bootstrap string
	// Binary is the agent's path. If it is empty, Binary's result is used.
	Binary string
	// Args and Env are added to the agent's command line and environment.
	Args, Env []string

	Cluster *testcluster.Cluster
	process *Process
	home    string // of all its agents; workers have it as a setting, because they must not see the credentials there
}

// New makes a node that is not started yet. kubeconfig is an administrator's. It says where the
// node finds the API server. If it is empty, the cluster's own is used.
func New(t testing.TB, cluster *testcluster.Cluster, kubeconfig string) *Node {
	t.Helper()
	n := &Node{
		Name:    fmt.Sprintf("node-%s", strings.ToLower(rand.Text()[:8])),
		IP:      Address(),
		DataDir: filepath.Join(t.TempDir(), "krustlet"),
		Cluster: cluster,
		home:    t.TempDir(),
	}
	if kubeconfig == "" {
		kubeconfig = cluster.Kubeconfig()
	}
	t.Cleanup(func() { n.endWorkers(t) }) // runs after the clean-up of the agents, which is registered later
	config := filepath.Join(n.DataDir, "config")
	n.Bootstrap = filepath.Join(config, "bootstrap.conf")
	cmd := exec.Command(filepath.Join(testcluster.Root(), "hack", "bootstrap.sh"))
	cmd.Env = append(os.Environ(),
		"KUBECONFIG="+kubeconfig,
		"CONFIG_DIR="+config,
		"KUBECTL="+filepath.Join(testcluster.Root(), "bin", "cluster")+" kubectl")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("testnode: hack/bootstrap.sh: %v\n%s", err, out)
	}
	return n
}

// Address is a loopback address that no other program uses. The chance of a clash is one in
// millions. Clusters give pods higher addresses than those of nodes.
func Address() string {
	var b [2]byte
	_, _ = rand.Read(b[:])
	return fmt.Sprintf("127.%d.%d.%d", 20+os.Getpid()%60, b[0], 1+b[1]%250)
}

// Start runs the agent and waits for nothing. When the test ends, the agent is stopped.
func (n *Node) Start(t testing.TB) *Process {
	t.Helper()
	args := append([]string{
		"--node-name", n.Name, "--hostname", n.Name, "--node-ip", n.IP,
		"--addr", n.IP, "--port", fmt.Sprint(Port),
		"--data-dir", n.DataDir, "--bootstrap-file", n.Bootstrap, "--log-level", "debug",
	}, n.Args...)
	binary := n.Binary
	if binary == "" {
		binary = Binary(t)
	}
	n.process = RunBinary(t, binary, append([]string{"HOME=" + n.home}, n.Env...), args...)
	return n.process
}

// Process is the agent that was started last.
func (n *Node) Process() *Process { return n.process }

// Stop ends the agent like systemd, and waits until it has exited.
func (n *Node) Stop(t testing.TB) {
	t.Helper()
	n.process.Stop(t)
}

// Kill kills the agent, and waits until it has exited.
func (n *Node) Kill(t testing.TB) {
	t.Helper()
	n.process.Signal(t, syscall.SIGKILL)
	n.process.Wait(t)
}

// Workers are the node's running workers.
func (n *Node) Workers(t testing.TB) []workers.Worker {
	t.Helper()
	all, err := workers.List(n.DataDir)
	if err != nil {
		t.Fatalf("testnode: %v", err)
	}
	return all
}

// endWorkers ends the workers, which outlive the node's agents.
func (n *Node) endWorkers(t testing.TB) {
	all := n.Workers(t)
	logs := map[int]string{}
	for _, w := range all {
		logs[w.PID] = w.Log()
		if strings.Contains(logs[w.PID], "WARNING: DATA RACE") {
			t.Errorf("worker %d has a data race", w.PID)
		}
	}
	if err := workers.End(n.DataDir); err != nil {
		t.Errorf("testnode: %v", err)
	}
	if t.Failed() {
		for pid, log := range logs {
			t.Logf("worker %d:\n%s", pid, tail(log))
		}
	}
}

// Join starts the agent, approves its serving certificate like an administrator, and waits until
// the node is Ready.
func (n *Node) Join(t testing.TB) {
	t.Helper()
	n.Start(t)
	n.Approve(t)
	n.WaitReady(t)
}

// Approve waits for the line that asks for the approval. Then it approves the node's serving
// certificate.
func (n *Node) Approve(t testing.TB) {
	t.Helper()
	const ask = "BOOTSTRAP: TLS certificate requires manual approval. Run kubectl certificate approve "
	line := n.process.WaitOutput(t, ask)
	n.Cluster.Kubectl(t, "certificate", "approve", strings.TrimSpace(strings.TrimPrefix(line, ask)))
	n.process.WaitOutput(t, "BOOTSTRAP: received TLS certificate approval: continuing")
}

// WaitReady waits until the agent that was started last renews the node's lease, and the node is
// Ready.
func (n *Node) WaitReady(t testing.TB) {
	t.Helper()
	Eventually(t, func() error {
		if err := n.ready(); err != nil {
			return fmt.Errorf("%w\nagent:\n%s", err, n.process.Tail())
		}
		return nil
	})
}

func (n *Node) ready() error {
	client := n.Cluster.Client()
	lease, err := client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(context.Background(), n.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Before(n.process.started) {
		return fmt.Errorf("the lease of node %s was renewed by an earlier agent, at %v", n.Name, lease.Spec.RenewTime)
	}
	node, err := client.CoreV1().Nodes().Get(context.Background(), n.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s is not ready: %v", n.Name, node.Status.Conditions)
}

// Patience is how long tests wait for something that must happen.
const Patience = eventually.Patience

// Eventually is eventually.Succeeds.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	eventually.Succeeds(t, check)
}
