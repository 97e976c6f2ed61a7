package podsync

import (
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/podsync/podfiles"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestWhatAPodHasUsedGoesOn: a pod's processor time and traffic include its runs that have ended.
// Each run counts once, even if another agent saw its end, or no agent did.
func TestWhatAPodHasUsedGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		pod.Name = "p0"
		h := newHome(t, pod)
		h.setNode("127.9.8.0/29")
		newest := func() *guest { all := h.engine.all(); return all[len(all)-1] }
		want := func(m *Manager, when string, cpu time.Duration, received, sent, failed uint64) {
			t.Helper()
			all := m.PodStats(t.Context(), false)
			if len(all) != 1 || all[0].Network == nil || len(all[0].Network.Interfaces) != 1 {
				t.Fatalf("%s: %+v", when, all)
			}
			moved := all[0].Network.Interfaces[0]
			if moved.Name != "eth0" || all[0].Network.Name != "eth0" || *moved.RxBytes != received || *moved.TxBytes != sent || *moved.RxErrors != failed || *moved.TxErrors != 2*failed {
				t.Errorf("%s: %s received %d, sent %d, errors %d and %d", when, moved.Name, *moved.RxBytes, *moved.TxBytes, *moved.RxErrors, *moved.TxErrors)
			}
			if got := time.Duration(*all[0].CPU.UsageCoreNanoSeconds); got != cpu {
				t.Errorf("%s: processor time %v, want %v", when, got, cpu)
			}
		}
		used := runtime.Stats{CPU: 3 * time.Second, Memory: 65536, Traffic: runtime.Traffic{Received: 100, Sent: 1000, ReceiveErrors: 1, SendErrors: 2}}
		h.run(func(m *Manager) {
			pass(time.Second)
			newest().use(used)
			want(m, "the first run", 3*time.Second, 100, 1000, 1)
			newest().end(1)
			pass(time.Minute)
			want(m, "the second run, of which nothing is known", 3*time.Second, 100, 1000, 1)
			newest().use(used)
			want(m, "the second run", 6*time.Second, 200, 2000, 2)
		})
		h.reloaded()
		h.run(func(m *Manager) {
			pass(time.Second)
			want(m, "with another agent", 6*time.Second, 200, 2000, 2)
		})
		newest().end(1)
		h.reloaded()
		h.run(func(m *Manager) {
			pass(time.Hour)
			newest().use(used)
			want(m, "the third run, after the second ended without an agent", 9*time.Second, 300, 3000, 3)
			newest().end(1)
			pass(time.Hour)
		})
		h.reloaded()
		h.run(func(m *Manager) {
			pass(time.Second)
			newest().use(used)
			want(m, "the fourth run, with another agent", 12*time.Second, 400, 4000, 4)
		})
	})
}

// TestFigureOfTheMomentOfAnEnd: a run that has ended counts, even before its pod loop knows of the
// end.
func TestFigureOfTheMomentOfAnEnd(t *testing.T) {
	pod := testpod.New(corev1.RestartPolicyAlways, "a", "b")
	for _, name := range []string{"a", "b"} {
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	a, b := &guest{done: make(chan struct{})}, &guest{done: make(chan struct{})}
	a.use(runtime.Stats{CPU: time.Second})
	w := &podLoop{podActions: &podActions{}}
	w.view.Store(&view{pod: pod, spent: podfiles.Use{CPU: time.Minute}, runs: map[string]containerRuns{
		"a": {id: "run-a", process: a}, "b": {id: "run-b", process: b},
	}})
	used := map[string]runtime.Stats{"run-b": {CPU: 2 * time.Second}}
	close(a.done)
	got, ok := w.stats(used, time.Now())
	if !ok || len(got.Containers) != 1 || *got.CPU.UsageCoreNanoSeconds != uint64(time.Minute+3*time.Second) {
		t.Errorf("%+v, %+v", got.Containers, got.CPU)
	}
	if got.Network != nil {
		t.Errorf("a pod at the node's address has a network: %+v", got.Network)
	}
}

// TestARunThatNobodyWasToldOfCountsOnce: the notes already have the run, and the next agent gets it
// from the engine, too.
func TestARunThatNobodyWasToldOfCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := startAgents(t, corev1.RestartPolicyNever, false)
		used := runtime.Stats{CPU: time.Second, Traffic: runtime.Traffic{Received: 7}}
		a.engine.all()[0].use(used)
		a.away.Store(true)
		a.engine.all()[0].end(0)
		a.settle(time.Second)
		a.stop()
		a.next()
		if got := a.loop.view.Load().spent; got != podfiles.UseOf(used) || len(a.engine.Runs()) != 1 {
			t.Errorf("%+v after one run of %+v", got, used)
		}
		a.away.Store(false)
		a.settle(time.Minute)
		a.stop()
	})
}
