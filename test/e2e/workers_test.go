package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
	"github.com/krustlet-go/krustlet-wasi/hack/workers"
)

// TestAgentRestart: pods do not notice when the agent is stopped, killed or replaced.
func TestAgentRestart(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	counts := s.create(t, ns, s.pod("counts", s.kitchen, "count"))
	s.awaitPhase(t, ns, "counts", corev1.PodRunning)
	before := s.steady(t, ns, "counts")
	worker := s.node.Workers(t)
	if len(worker) != 1 {
		t.Fatalf("%d workers for one pod", len(worker))
	}
	for _, end := range []struct {
		name string
		stop func(testing.TB)
	}{{"stopped", s.node.Stop}, {"killed", s.node.Kill}} {
		ends := s.pod("ends-"+end.name, s.kitchen, "count", "300", "7")
		ends.Spec.RestartPolicy = corev1.RestartPolicyNever
		s.create(t, ns, ends)
		deleted := s.create(t, ns, s.pod("deleted-"+end.name, s.tiny))
		s.awaitPhase(t, ns, ends.Name, corev1.PodRunning)
		s.awaitPhase(t, ns, deleted.Name, corev1.PodRunning)
		lastLine := s.lastNumber(t, ns, "counts")
		end.stop(t)
		s.delete(t, deleted)
		// One guest ends by itself while no agent runs. The other one prints more lines.
		testnode.Eventually(t, func() error {
			log, err := os.ReadFile(filepath.Join(s.node.DataDir, "logs", ns+"_counts_"+string(counts.UID), "main", "0.log"))
			if err == nil && strings.Count(string(log), "\n") < lastLine+500 {
				err = errors.New("the guest does not go on")
			}
			return err
		})
		s.node.Start(t)
		s.node.WaitReady(t)
		after := s.steady(t, ns, "counts")
		if after.ContainerID != before.ContainerID || after.RestartCount != 0 || !after.State.Running.StartedAt.Equal(&before.State.Running.StartedAt) {
			t.Errorf("agent %s: the container was %+v, and is %+v", end.name, before, after)
		}
		pod := s.awaitPhase(t, ns, ends.Name, corev1.PodFailed)
		if e := pod.Status.ContainerStatuses[0].State.Terminated; e == nil || e.ExitCode != 7 || e.Reason != "Error" {
			t.Errorf("agent %s: the guest that ended meanwhile: %+v", end.name, e)
		}
		s.awaitGone(t, deleted)
		if now := s.node.Workers(t); len(now) != 1 || now[0].PID != worker[0].PID {
			t.Errorf("agent %s: workers %+v, want %+v", end.name, now, worker)
		}
	}
	s.lastNumber(t, ns, "counts")
	s.delete(t, counts)
	s.awaitGone(t, counts)
}

// steady is the status of a pod's container, which must run.
func (s *suite) steady(t *testing.T, ns, name string) corev1.ContainerStatus {
	t.Helper()
	pod := s.await(t, ns, name, func(p *corev1.Pod) error {
		if len(p.Status.ContainerStatuses) != 1 || p.Status.ContainerStatuses[0].State.Running == nil {
			return errors.New("its container does not run")
		}
		return nil
	})
	return pod.Status.ContainerStatuses[0]
}

// lastNumber is the last line of a pod that counts. No line may be missing.
func (s *suite) lastNumber(t *testing.T, ns, name string) int {
	t.Helper()
	last := -1
	for line := range strings.Lines(s.cluster.Kubectl(t, "logs", "-n", ns, name)) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil || n != last+1 {
			t.Fatalf("pod %s printed %q after %d", name, line, last)
		}
		last = n
	}
	return last
}

// TestWorkerDies: if a worker is killed, its pods say so and run again. The pods of other workers
// do not notice.
func TestWorkerDies(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.class(t, "wasmtime-isolated")
	s.create(t, ns, s.pod("shared", s.kitchen, "count"))
	alone := s.pod("alone", s.kitchen, "count")
	name := "wasmtime-isolated"
	alone.Spec.RuntimeClassName = &name
	alone = s.create(t, ns, alone)
	once := s.pod("once", s.kitchen, "count")
	once.Spec.RestartPolicy = corev1.RestartPolicyNever
	s.create(t, ns, once)
	s.awaitPhase(t, ns, "shared", corev1.PodRunning)
	s.awaitPhase(t, ns, "once", corev1.PodRunning)
	before := map[string]corev1.ContainerStatus{"alone": s.steady(t, ns, "alone"), "shared": s.steady(t, ns, "shared")}
	shared, isolated := s.workersByKind(t)
	if isolated.Pod != string(alone.UID) {
		t.Errorf("the isolated worker is for pod %q, want %q", isolated.Pod, alone.UID)
	}

	kill(t, shared.PID, syscall.SIGABRT)
	pod := s.awaitRestarted(t, ns, "shared", before["shared"].ContainerID)
	last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated
	if last == nil || last.ExitCode != 134 || last.Reason != "Error" || !strings.Contains(last.Message, strconv.Itoa(shared.PID)) || !strings.Contains(last.Message, "abort") {
		t.Errorf("the guest of an aborted worker: %+v", last)
	}
	pod = s.awaitPhase(t, ns, "once", corev1.PodFailed)
	if end := pod.Status.ContainerStatuses[0].State.Terminated; end == nil || end.ExitCode != 134 || pod.Status.ContainerStatuses[0].RestartCount != 0 {
		t.Errorf("the guest that runs once: %+v", pod.Status.ContainerStatuses[0])
	}
	if now := s.steady(t, ns, "alone"); now.ContainerID != before["alone"].ContainerID {
		t.Error("the isolated pod was touched by the end of another worker")
	}

	// The agent and both workers are killed, so no process saw the ends.
	again := s.steady(t, ns, "shared")
	shared, isolated = s.workersByKind(t)
	s.node.Kill(t)
	kill(t, shared.PID, syscall.SIGKILL)
	kill(t, isolated.PID, syscall.SIGKILL)
	testnode.Eventually(t, func() error {
		if all := s.node.Workers(t); len(all) > 0 {
			return fmt.Errorf("workers live: %+v", all)
		}
		return nil
	})
	s.node.Start(t)
	s.awaitRestarted(t, ns, "shared", again.ContainerID)
	pod = s.awaitRestarted(t, ns, "alone", before["alone"].ContainerID)
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil || last.ExitCode != 137 || last.Reason != "Error" || last.Message == "" {
		t.Errorf("the guest of a worker that died with the agent: %+v", last)
	}
	s.lastNumber(t, ns, "alone")
}

// workersByKind is the node's shared worker and its isolated one.
func (s *suite) workersByKind(t *testing.T) (shared, isolated workers.Worker) {
	t.Helper()
	all := s.node.Workers(t)
	if len(all) != 2 || all[0].Isolated == all[1].Isolated {
		t.Fatalf("workers %+v, want one shared and one isolated", all)
	}
	if all[0].Isolated {
		return all[1], all[0]
	}
	return all[0], all[1]
}

func kill(t *testing.T, pid int, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, signal); err != nil {
		t.Fatalf("%v to process %d: %v", signal, pid, err)
	}
}

// awaitRestarted waits until the pod's container runs again, with another ID.
func (s *suite) awaitRestarted(t *testing.T, ns, name, id string) *corev1.Pod {
	t.Helper()
	return s.await(t, ns, name, func(p *corev1.Pod) error {
		if c := p.Status.ContainerStatuses; len(c) != 1 || c[0].State.Running == nil || c[0].ContainerID == id {
			return errors.New("not running again")
		}
		return nil
	})
}

// class makes a RuntimeClass with this handler and the same name. Tests share it.
func (s *suite) class(t *testing.T, handler string) {
	t.Helper()
	class := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: handler}, Handler: handler}
	_, err := s.client().NodeV1().RuntimeClasses().Create(context.Background(), class, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

// TestRuntimeClass: pods of the classes that the node knows run. A pod of another class is refused,
// and is accepted once the class exists.
func TestRuntimeClass(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.class(t, "wasmtime")
	s.class(t, "runc-of-a-test")
	for name, class := range map[string]string{"known": "wasmtime", "unknown": "runc-of-a-test"} {
		pod := s.pod(name, s.tiny)
		pod.Spec.RuntimeClassName = &class
		s.create(t, ns, pod)
	}
	s.awaitPhase(t, ns, "known", corev1.PodRunning)
	refused, err := s.get(ns, "unknown")
	if err != nil {
		t.Fatal(err)
	}
	s.awaitEvents(t, refused, "FailedCreatePodSandBox ")
	if pod, err := s.get(ns, "unknown"); err != nil || pod.Status.Phase != corev1.PodPending {
		t.Errorf("a pod of a class that the node does not know is %s, %v", pod.Status.Phase, err)
	}
}

// TestAgentUpgrade: another build of the agent adopts the pods of the earlier one, and leaves them
// in their worker. New pods get a new worker. The old worker exits with its last pod. A changed
// flag has the same effect.
func TestAgentUpgrade(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	newer := filepath.Join(t.TempDir(), "krustlet-wasi")
	testnode.BuildAgent(t, newer, "newer")
	old := s.create(t, ns, s.pod("old", s.kitchen, "count"))
	s.awaitPhase(t, ns, "old", corev1.PodRunning)
	before := s.steady(t, ns, "old")
	oldWorker := s.node.Workers(t)

	s.node.Stop(t)
	s.forgetRecords(t) // like an agent that writes no records
	s.node.Binary = newer
	s.node.Args = append(s.node.Args, "--workers", "2")
	s.node.Start(t)
	s.node.WaitReady(t)
	s.create(t, ns, s.pod("new", s.kitchen, "count"))
	s.awaitPhase(t, ns, "new", corev1.PodRunning)
	if after := s.steady(t, ns, "old"); after.ContainerID != before.ContainerID || after.RestartCount != 0 {
		t.Errorf("the old pod's container was %+v, and is %+v", before, after)
	}
	if all := s.node.Workers(t); len(all) != 2 {
		t.Errorf("workers %+v, want the old one and a new one", all)
	}
	s.delete(t, old)
	s.awaitGone(t, old)
	testnode.Eventually(t, func() error {
		for _, w := range s.node.Workers(t) {
			if w.PID == oldWorker[0].PID {
				return errors.New("the old build's worker has no pods and lives")
			}
		}
		return nil
	})
	s.lastNumber(t, ns, "new")
}

// forgetRecords removes the records that agents have written about their workers.
func (s *suite) forgetRecords(t *testing.T) {
	t.Helper()
	for _, suffix := range []string{".json", ".key"} {
		files, err := filepath.Glob(filepath.Join(s.node.DataDir, "workers", "*"+suffix))
		if err != nil || len(files) == 0 {
			t.Fatalf("no worker has a file %s: %v", suffix, err)
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWorkerWritesNonsense: whatever a worker writes about itself, the agent starts, and pods do
// not notice.
func TestWorkerWritesNonsense(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.create(t, ns, s.pod("counts", s.kitchen, "count"))
	s.awaitPhase(t, ns, "counts", corev1.PodRunning)
	before := s.steady(t, ns, "counts")
	worker := s.node.Workers(t)
	if len(worker) != 1 {
		t.Fatalf("%d workers for one pod", len(worker))
	}
	own := filepath.Join(worker[0].Dir, "worker.json")
	for what, write := range map[string]func() error{
		"truncated": func() error { return os.WriteFile(own, []byte(`{"pid":1`), 0o600) },
		"a FIFO":    func() error { return syscall.Mkfifo(own, 0o600) },
	} {
		s.node.Stop(t)
		if err := os.Remove(own); err != nil {
			t.Fatal(err)
		}
		if err := write(); err != nil {
			t.Fatal(err)
		}
		s.node.Start(t)
		s.node.WaitReady(t)
		after := s.steady(t, ns, "counts")
		if after.ContainerID != before.ContainerID || after.RestartCount != 0 || !after.State.Running.StartedAt.Equal(&before.State.Running.StartedAt) {
			t.Errorf("%s: the container was %+v, and is %+v", what, before, after)
		}
		if now := s.node.Workers(t); len(now) != 1 || now[0].PID != worker[0].PID {
			t.Errorf("%s: workers %+v, want %+v", what, now, worker)
		}
	}
	s.lastNumber(t, ns, "counts")
}

// TestWorkerIsSilent: if a worker is stopped by a signal, the pods of other workers and the node
// continue. Later the worker continues, too.
func TestWorkerIsSilent(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	s.class(t, "wasmtime-isolated")
	alone := s.pod("alone", s.kitchen, "count")
	name := "wasmtime-isolated"
	alone.Spec.RuntimeClassName = &name
	s.create(t, ns, alone)
	s.awaitPhase(t, ns, "alone", corev1.PodRunning)
	s.create(t, ns, s.pod("shared", s.kitchen, "count"))
	s.awaitPhase(t, ns, "shared", corev1.PodRunning)
	before := s.steady(t, ns, "alone")
	_, isolated := s.workersByKind(t)
	scraper := s.scraper(t, ns)
	kill(t, isolated.PID, syscall.SIGSTOP)
	defer func() { _ = syscall.Kill(isolated.PID, syscall.SIGCONT) }() // so that it can exit even if the test fails
	// Every request that goes to workers is made while one of them does not answer.
	s.create(t, ns, s.pod("new", s.kitchen, "count"))
	s.awaitPhase(t, ns, "new", corev1.PodRunning)
	for _, path := range []string{"/stats/summary", "/metrics", "/metrics/resource"} {
		scraper.get(t, path)
	}
	if first, then := s.lastNumber(t, ns, "shared"), s.lastNumber(t, ns, "shared"); then < first {
		t.Errorf("the shared pod printed %d lines, then %d", first, then)
	}
	lease, err := s.client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), s.node.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	testnode.Eventually(t, func() error {
		now, err := s.client().CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(t.Context(), s.node.Name, metav1.GetOptions{})
		if err == nil && !now.Spec.RenewTime.After(lease.Spec.RenewTime.Time) {
			err = errors.New("the lease is not renewed")
		}
		return err
	})
	s.node.WaitReady(t)
	kill(t, isolated.PID, syscall.SIGCONT)
	if after := s.steady(t, ns, "alone"); after.ContainerID != before.ContainerID || after.RestartCount != 0 {
		t.Errorf("the pod of the worker that stood still: %+v, before %+v", after, before)
	}
	s.lastNumber(t, ns, "alone")
}

// TestWorkersEnd: without pods and without an agent, only files of a node are left. The next agent
// removes them.
func TestWorkersEnd(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "")
	ns := s.cluster.Namespace(t)
	pod := s.create(t, ns, s.pod("pod", s.tiny))
	s.awaitPhase(t, ns, "pod", corev1.PodRunning)
	s.delete(t, pod)
	s.awaitGone(t, pod)
	if len(s.node.Workers(t)) == 0 {
		t.Fatal("the shared worker did not stay for the next pod")
	}
	s.node.Stop(t)
	(&chaos{suite: s, t: t}).noWorkers()
	s.node.Start(t)
	s.node.WaitReady(t)
	testnode.Eventually(t, func() error {
		left, err := os.ReadDir(filepath.Join(s.node.DataDir, "workers"))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("%s is left", left[0].Name())
		}
		return err
	})
}
