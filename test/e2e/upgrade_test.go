package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
	"github.com/krustlet-go/krustlet-wasi/hack/workers"
)

// earlierCommit is the last commit in which one package had both sides of the protocol between
// agent and workers.
const earlierCommit = "e2a684dd93ea4400f665e43b94c8b6cc761b3391"

// TestUpgradeFromEarlierProgram: this agent adopts the workers of an earlier commit's program.
// Their pods do not notice: their guests continue, and the old workers understand every request of
// the new agent.
// docs/workers.md: "Pods go on, even if the new agent is another version or has other flags."
func TestUpgradeFromEarlierProgram(t *testing.T) {
	t.Parallel()
	if !testnode.HasCommit(t, earlierCommit) {
		return
	}
	earlier := testnode.Earlier(t, earlierCommit)
	s := newStoppedSuite(t, "", "--node-labels", "kubernetes.io/os=linux") // without this label the API server refuses to resize
	s.kitchen = s.images.PushGuest(t, "kitchen-earlier")
	s.node.Binary = earlier
	s.node.Join(t)
	u := &upgrade{suite: s, ns: s.cluster.Namespace(t), before: map[string]corev1.ContainerStatus{}}
	u.startPods(t)

	s.node.Stop(t)
	s.node.Binary = "" // the agent of this tree
	s.node.Start(t)
	s.node.WaitReady(t)

	u.checkAdopted(t)
	u.checkLogs(t)
	if out := s.cluster.Kubectl(t, "exec", "-n", u.ns, "counts", "--", "echo", "hello"); out != "hello\n" {
		t.Errorf("exec in an old worker printed %q", out)
	}
	u.checkStats(t)
	s.resize(t, u.ns, "counts", "400m", "128Mi")
	s.awaitSize(t, u.ns, "counts", "400m", "128Mi")
	u.checkAdopted(t) // none of this has restarted a container
	u.checkEnds(t)
	s.lastNumber(t, u.ns, "alone")
}

// upgrade is the pods that the earlier program has started.
type upgrade struct {
	*suite
	ns      string
	before  map[string]corev1.ContainerStatus // of the containers that must continue, by pod
	workers []workers.Worker
	printed int // lines that the pod "counts" has printed
}

// startPods starts pods in a shared worker and in an isolated one. The guest of "ends" ends by
// itself.
func (u *upgrade) startPods(t *testing.T) {
	t.Helper()
	u.class(t, "wasmtime-isolated")
	u.create(t, u.ns, u.sizedPod("counts", "500m", "64Mi", "count"))
	handler := "wasmtime-isolated"
	alone := u.pod("alone", u.kitchen, "count")
	alone.Spec.RuntimeClassName = &handler
	u.create(t, u.ns, alone)
	u.create(t, u.ns, u.pod("deleted", u.kitchen, "count"))
	for _, name := range []string{"counts", "alone", "deleted"} {
		u.awaitPhase(t, u.ns, name, corev1.PodRunning)
		u.before[name] = u.steady(t, u.ns, name)
	}
	ends := u.pod("ends", u.kitchen, "count", "300", "7")
	ends.Spec.RestartPolicy = corev1.RestartPolicyNever
	u.create(t, u.ns, ends)
	u.awaitPhase(t, u.ns, "ends", corev1.PodRunning)
	if u.workers = u.node.Workers(t); len(u.workers) != 2 {
		t.Fatalf("workers %+v, want a shared one and an isolated one", u.workers)
	}
	u.printed = u.lastNumber(t, u.ns, "counts")
}

// checkAdopted compares containers and workers with those before the upgrade.
func (u *upgrade) checkAdopted(t *testing.T) {
	t.Helper()
	for name, before := range u.before {
		now := u.steady(t, u.ns, name)
		if now.ContainerID != before.ContainerID || now.RestartCount != 0 || !now.State.Running.StartedAt.Equal(&before.State.Running.StartedAt) {
			t.Errorf("pod %s: the container was %+v, and is %+v", name, before, now)
		}
	}
	for _, w := range u.workers {
		if err := syscall.Kill(w.PID, 0); err != nil {
			t.Errorf("worker process %d: %v", w.PID, err)
		}
	}
}

// checkLogs waits until the guest has printed more lines. The log must have every line.
func (u *upgrade) checkLogs(t *testing.T) {
	t.Helper()
	testnode.Eventually(t, func() error {
		if now := u.lastNumber(t, u.ns, "counts"); now < u.printed+100 {
			return fmt.Errorf("line %d is the last, and was line %d before the upgrade", now, u.printed)
		}
		return nil
	})
}

// checkStats waits until the summary has what the guest in the old worker uses.
func (u *upgrade) checkStats(t *testing.T) {
	t.Helper()
	scraper := u.scraper(t, u.ns)
	testnode.Eventually(t, func() error {
		var summary stats.Summary
		if err := json.Unmarshal(scraper.get(t, "/stats/summary"), &summary); err != nil {
			return err
		}
		pod := podStats(summary, u.ns, "counts")
		if pod == nil || len(pod.Containers) != 1 || pod.Containers[0].Memory == nil || pod.Containers[0].CPU == nil {
			return errors.New("the summary does not have the container")
		}
		if c := pod.Containers[0]; *c.Memory.WorkingSetBytes == 0 || *c.CPU.UsageCoreNanoSeconds == 0 {
			return errors.New("the container uses nothing")
		}
		return nil
	})
	if page := string(scraper.get(t, "/metrics")); !strings.Contains(page, `krustlet_wasi_host_calls_total{function="fd_write"}`) {
		t.Error("/metrics has no host calls")
	}
}

// checkEnds reads how a guest has ended in the old worker. It also ends other guests there.
func (u *upgrade) checkEnds(t *testing.T) {
	t.Helper()
	pod := u.awaitPhase(t, u.ns, "ends", corev1.PodFailed)
	if e := pod.Status.ContainerStatuses[0].State.Terminated; e == nil || e.ExitCode != 7 || e.Reason != "Error" {
		t.Errorf("the guest that has ended by itself: %+v", e)
	}
	for _, name := range []string{"deleted", "counts"} {
		pod, err := u.get(u.ns, name)
		if err != nil {
			t.Fatal(err)
		}
		u.delete(t, pod)
		u.awaitGone(t, pod)
	}
}
