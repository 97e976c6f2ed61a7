package podsync

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestPodLoopCrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newShell(t, ctx, testpod.New(corev1.RestartPolicyAlways, "a"), &engine{life: time.Second, code: 3}, &images{})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		pod, _ := s.object()
		c := pod.Status.ContainerStatuses[0]
		if c.State.Waiting == nil || c.State.Waiting.Reason != "CrashLoopBackOff" || c.LastTerminationState.Terminated.ExitCode != 3 {
			t.Errorf("after 20 minutes of crashing: %+v", c)
		}
		var gaps []time.Duration
		starts := s.engine.started()
		for i, at := range starts[1:] {
			gaps = append(gaps, at.Sub(starts[i])-time.Second)
		}
		want := []time.Duration{0, 10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second, 300 * time.Second, 300 * time.Second}
		for i := range want {
			if i >= len(gaps) || gaps[i] != want[i] {
				t.Fatalf("restarts after %v, want %v", gaps, want)
			}
		}
		cancel()
		<-s.ended
	})
}

func TestPodLoopDeletionWithGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		s := newShell(t, t.Context(), pod, &engine{}, &images{failures: 1})
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		running, _ := s.object()
		if running.Status.Phase != corev1.PodRunning {
			t.Fatalf("phase %s", running.Status.Phase)
		}
		deletedAt := time.Now()
		s.loop.mailbox.put(testpod.Deleted(running, 30))
		<-s.ended
		if took := time.Since(deletedAt); took != 30*time.Second {
			t.Errorf("ended after %v, want the grace period", took)
		}
		if _, there := s.object(); there {
			t.Error("the object is still there")
		}
	})
}

// TestPodLoopOutlivesAPIServer: while the API server refuses every write, the pod goes on. Its end
// is reported after the outage.
func TestPodLoopOutlivesAPIServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := startShell(t, ctx, testpod.New(corev1.RestartPolicyNever, "a"), &engine{life: 10 * time.Minute}, &images{}, true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if pod, _ := s.object(); pod.Status.Phase == corev1.PodSucceeded || len(s.engine.started()) != 1 {
			t.Fatalf("phase %s, %d runs", pod.Status.Phase, len(s.engine.started()))
		}
		s.away.Store(false)
		time.Sleep(reportRetryMax)
		synctest.Wait()
		if pod, _ := s.object(); pod.Status.Phase != corev1.PodSucceeded {
			t.Errorf("phase %s after the API server came back", pod.Status.Phase)
		}
		cancel()
		<-s.ended
	})
}

// TestPodLoopReportsOnce: if a running pod does not change, its status is not written again.
func TestPodLoopReportsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newShell(t, ctx, testpod.New(corev1.RestartPolicyAlways, "a"), &engine{}, &images{})
		time.Sleep(time.Second)
		synctest.Wait()
		after := s.patches.Load()
		if after > 2 {
			t.Errorf("%d patches to get a pod running", after)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s.patches.Load() != after {
			t.Errorf("%d patches of a pod at rest", s.patches.Load()-after)
		}
		pod, _ := s.object()
		ready := false
		for _, c := range pod.Status.Conditions {
			ready = ready || c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}
		if !ready {
			t.Errorf("not ready: %+v", pod.Status.Conditions)
		}
		// Another client changes the status, and the agent changes it back.
		wrong := pod.DeepCopy()
		wrong.Status.Phase = corev1.PodPending
		wrong.Status.ContainerStatuses = nil
		if err := s.client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), wrong, "ns"); err != nil {
			t.Fatal(err)
		}
		accessor, err := meta.Accessor(wrong)
		if err != nil {
			t.Fatal(err)
		}
		accessor.SetResourceVersion("1000")
		s.loop.mailbox.put(wrong)
		synctest.Wait()
		if pod, _ := s.object(); pod.Status.Phase != corev1.PodRunning || len(pod.Status.ContainerStatuses) != 1 {
			t.Errorf("the status was not put right: %+v", pod.Status)
		}
		cancel()
		<-s.ended
	})
}
