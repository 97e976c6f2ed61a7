package podsync

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	"github.com/krustlet-go/krustlet-wasi/registry"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// guest is a fake run: it ends by itself after a time, or when it is killed.
type guest struct {
	done chan struct{}
	mu   sync.Mutex
	exit runtime.Exit
	kill *time.Timer
}

func (g *guest) Done() <-chan struct{} { return g.done }
func (g *guest) Exit() runtime.Exit    { return g.exit }
func (g *guest) Stats() runtime.Stats  { return runtime.Stats{} }

func (g *guest) Stop(grace time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kill == nil || g.kill.Stop() {
		g.kill = time.AfterFunc(grace, func() { g.end(137) })
	}
}

func (g *guest) end(code int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.done:
		return
	default:
	}
	g.exit = runtime.Exit{Code: code, Reason: runtime.Error, FinishedAt: time.Now()}
	if code == 0 {
		g.exit.Reason = runtime.Completed
	}
	close(g.done)
}

// engine is a fake engine whose guests live for a while and then exit with a code; zero life means for ever.
type engine struct {
	life   time.Duration
	code   int32
	mu     sync.Mutex
	starts []time.Time
	guests []*guest
}

func (e *engine) Start(_ context.Context, _ runtime.Spec, _ runtime.Streams) (runtime.Process, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	g := &guest{done: make(chan struct{})}
	e.starts = append(e.starts, time.Now())
	e.guests = append(e.guests, g)
	if e.life > 0 {
		time.AfterFunc(e.life, func() { g.end(e.code) })
	}
	return g, nil
}

// images is a fake store in which every image is there after the first failures pulls.
type images struct {
	mu       sync.Mutex
	failures int
}

func (i *images) Lookup(image string) (registry.Module, bool, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return registry.Module{Image: image, ImageID: image + "@sha256:0"}, i.failures == 0, nil
}

func (i *images) Pull(_ context.Context, image string) (registry.Module, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.failures > 0 {
		i.failures--
		return registry.Module{}, errors.New("registry away")
	}
	return registry.Module{Image: image}, nil
}

// shell is one worker with what it needs, in virtual time.
type shell struct {
	t       *testing.T
	client  *fake.Clientset
	engine  *engine
	images  *images
	worker  *worker
	ended   chan struct{}
	patches atomic.Int32
	away    atomic.Bool // the API server takes no status
}

func newShell(t *testing.T, ctx context.Context, pod *corev1.Pod, e *engine, i *images) *shell {
	return startShell(t, ctx, pod, e, i, false)
}

func startShell(t *testing.T, ctx context.Context, pod *corev1.Pod, e *engine, i *images, away bool) *shell {
	s := &shell{t: t, client: fake.NewClientset(pod), engine: e, images: i, ended: make(chan struct{})}
	s.away.Store(away)
	s.client.PrependReactor("patch", "pods", func(clienttesting.Action) (bool, kruntime.Object, error) {
		s.patches.Add(1)
		return s.away.Load(), nil, errors.New("API server away")
	})
	manager := New(Settings{
		NodeName: "node", Address: testAddress, DataDir: t.TempDir(), Client: s.client, Images: i, Engine: e,
		Events: &record.FakeRecorder{}, Log: zap.NewNop(),
	})
	s.worker = newWorker(manager, restore(pod, dirsOf(manager.DataDir, pod), time.Now()))
	go func() {
		defer close(s.ended)
		s.worker.run(ctx)
	}()
	return s
}

// object is the pod as the API server has it.
func (s *shell) object() (*corev1.Pod, bool) {
	s.t.Helper()
	pod, err := s.client.CoreV1().Pods("ns").Get(context.Background(), "p", metav1.GetOptions{})
	return pod, err == nil
}

func TestWorkerCrashLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newShell(t, ctx, testPod(corev1.RestartPolicyAlways, "a"), &engine{life: time.Second, code: 3}, &images{})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		pod, _ := s.object()
		c := pod.Status.ContainerStatuses[0]
		if c.State.Waiting == nil || c.State.Waiting.Reason != "CrashLoopBackOff" || c.LastTerminationState.Terminated.ExitCode != 3 {
			t.Errorf("after 20 minutes of crashing: %+v", c)
		}
		var gaps []time.Duration
		for i, at := range s.engine.starts[1:] {
			gaps = append(gaps, at.Sub(s.engine.starts[i])-time.Second)
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

func TestWorkerDeletionWithGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := testPod(corev1.RestartPolicyAlways, "a")
		s := newShell(t, t.Context(), pod, &engine{}, &images{failures: 1})
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		running, _ := s.object()
		if running.Status.Phase != corev1.PodRunning {
			t.Fatalf("phase %s", running.Status.Phase)
		}
		deletedAt := time.Now()
		s.worker.mailbox.put(deleted(running, 30))
		<-s.ended
		if took := time.Since(deletedAt); took != 30*time.Second {
			t.Errorf("ended after %v, want the grace period", took)
		}
		if _, there := s.object(); there {
			t.Error("the object is still there")
		}
	})
}

// TestWorkerOutlivesAPIServer: while the API server refuses every write the pod runs on, and its end is reported
// when the API server is back.
func TestWorkerOutlivesAPIServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := startShell(t, ctx, testPod(corev1.RestartPolicyNever, "a"), &engine{life: 10 * time.Minute}, &images{}, true)
		time.Sleep(time.Hour)
		synctest.Wait()
		if pod, _ := s.object(); pod.Status.Phase == corev1.PodSucceeded || len(s.engine.starts) != 1 {
			t.Fatalf("phase %s, %d runs", pod.Status.Phase, len(s.engine.starts))
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

// TestWorkerReportsOnce: a pod that runs and is not touched is not written again.
func TestWorkerReportsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newShell(t, ctx, testPod(corev1.RestartPolicyAlways, "a"), &engine{}, &images{})
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
		// Somebody else changes the status: it is put right.
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
		s.worker.mailbox.put(wrong)
		synctest.Wait()
		if pod, _ := s.object(); pod.Status.Phase != corev1.PodRunning || len(pod.Status.ContainerStatuses) != 1 {
			t.Errorf("the status was not put right: %+v", pod.Status)
		}
		cancel()
		<-s.ended
	})
}
