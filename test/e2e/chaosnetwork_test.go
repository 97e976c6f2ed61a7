package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/ownnetwork"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// besieged is a node whose agent and workers are killed, with a server at which guests knock all
// the time. Its policy forbids strangers to enter. Another forbids the pods that are shut to leave.
type besieged struct {
	*network
	t       *testing.T
	at      string
	next    int
	knocker map[string][]*corev1.Pod // by their label app
}

// TestChaosOfPolicies: whatever is killed, no guest ever reaches the server that its policy forbids
// it: not while there is no agent, not through a worker that has just started, and not before a new
// agent has heard of policies. Guests that the policy allows reach it again each time.
func TestChaosOfPolicies(t *testing.T) {
	t.Parallel()
	if !ownnetwork.Enter(t) {
		return
	}
	n := newNetwork(t)
	b := &besieged{network: n, t: t, at: net.JoinHostPort(n.address, "8080"), knocker: map[string][]*corev1.Pod{}}
	n.reaches(t, n.client, b.at)
	n.apply(t, policyHead+"  ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [client, shut]}]}}]}]\n"+
		"---\n"+strings.NewReplacer("name: web", "name: shut", "app: web", "app: shut", "Ingress", "Egress").Replace(policyHead))
	for _, app := range []string{"stranger", "shut"} { // the server's policy forbids one, its own the other
		b.add(app)
		n.isRefused(t, b.knocker[app][0].Name, b.at)
		b.discard(app) // it may have been in before the policies held
	}
	for deadline := time.Now().Add(*chaosTime); ; {
		for _, what := range []string{"agent", "worker", "both"} {
			if what != "agent" {
				b.killWorkers()
			}
			if what != "worker" {
				n.node.Kill(t)
				b.keptOut() // guests go on without an agent
				n.node.Start(t)
			}
			for _, app := range []string{"stranger", "shut", "client"} {
				b.add(app)
			}
			b.keptOut()
			b.knocks("client", "through")
			b.knocks("stranger", "kept out")
			b.knocks("shut", "kept out")
			b.keptOut()
		}
		if time.Now().After(deadline) {
			return
		}
	}
}

// add makes a pod that knocks, and deletes the one before the last of these.
func (b *besieged) add(app string) {
	b.t.Helper()
	b.next++
	pod := b.suite.pod(fmt.Sprintf("%s-%d", app, b.next), b.kitchen, "knock", b.at)
	pod.Labels = map[string]string{"app": app}
	pod.Annotations = map[string]string{"krustlet-wasi.dev/egress": "cluster"}
	if b.next%2 == 0 {
		zero := int64(0)
		pod.Spec.TerminationGracePeriodSeconds = &zero
	}
	b.knocker[app] = append(b.knocker[app], b.create(b.t, b.namespace, pod))
	if len(b.knocker[app]) > 2 {
		b.keptOut()
		b.discard(app)
	}
}

// discard deletes the oldest pod with a label.
func (b *besieged) discard(app string) {
	b.t.Helper()
	b.delete(b.t, b.knocker[app][0])
	b.knocker[app] = b.knocker[app][1:]
}

func (b *besieged) killWorkers() {
	b.t.Helper()
	for _, w := range b.node.Workers(b.t) {
		_ = syscall.Kill(w.PID, syscall.SIGKILL) // it may just have exited
	}
}

// knocks waits until the newest pod with a label has said something more.
func (b *besieged) knocks(app, said string) {
	b.t.Helper()
	pod := b.knocker[app][len(b.knocker[app])-1]
	before := b.count(pod, said)
	testnode.Eventually(b.t, func() error {
		if n := b.count(pod, said); n <= before {
			return fmt.Errorf("pod %s says %q %d times, as before", pod.Name, said, n)
		}
		return nil
	})
}

// keptOut checks that no guest has reached the server that may not.
func (b *besieged) keptOut() {
	b.t.Helper()
	for _, app := range []string{"stranger", "shut"} {
		for _, pod := range b.knocker[app] {
			if n := b.count(pod, "through"); n > 0 {
				b.t.Fatalf("pod %s has reached the server %d times, which a policy forbids", pod.Name, n)
			}
		}
	}
}

// count is how often the logs of a pod have a line. There are none before it has started.
func (b *besieged) count(pod *corev1.Pod, line string) int {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.node.DataDir, "logs", "*_"+string(pod.UID), "main", "*.log"))
	if err != nil {
		b.t.Fatal(err)
	}
	n := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // older logs may be removed
		}
		n += bytes.Count(text, []byte(line+"\n"))
	}
	return n
}

// TestPolicyCutsConnections: a connection between guests of two pods ends when a policy forbids it.
func TestPolicyCutsConnections(t *testing.T) {
	t.Parallel()
	if !ownnetwork.Enter(t) {
		return
	}
	n := newNetwork(t)
	echo := n.suite.pod("echo", n.kitchen, "listen", "0.0.0.0:9000")
	echo.Labels = map[string]string{"app": "web"}
	n.create(t, n.namespace, echo)
	address := net.JoinHostPort(n.await(t, n.namespace, "echo", ready(true)).Status.PodIP, "9000")
	testnode.Eventually(t, func() error {
		if log := n.cluster.Kubectl(t, "logs", "-n", n.namespace, "echo"); !strings.Contains(log, ":9000") {
			return fmt.Errorf("the server does not listen: %q", log)
		}
		return nil
	})
	// What comes back is not read. So neither end can go on after a while, and the connection stays.
	cmd, out := n.kubectl(t, "exec", "-n", n.namespace, n.client, "--", "stream", address, "1000000000")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	testnode.Eventually(t, func() error { return established(9000) })
	n.apply(t, policyHead)
	start := time.Now()
	select {
	case err := <-ended:
		said := out.String() + stderr.String()
		if err == nil || !strings.Contains(strings.ToLower(said), "reset") {
			t.Errorf("the guest ends with %v: %s", err, said)
		}
		t.Logf("cut %v after the policy was written", time.Since(start))
	case <-time.After(testnode.Patience):
		_ = cmd.Process.Kill()
		<-ended
		t.Fatal("the connection goes on")
	}
}

// established reports with an error that no connection leads to a port, in the test's own network.
func established(port int) error {
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[2], fmt.Sprintf(":%04X", port)) && f[3] == "01" {
			return nil
		}
	}
	return fmt.Errorf("no connection leads to port %d", port)
}
