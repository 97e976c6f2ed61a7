package podsync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// pressure is the Pressure of a node that is short of something while short returns true.
type pressure struct {
	signal node.Signal
	short  func() bool

	mu    sync.Mutex
	looks []time.Time
}

func (p *pressure) Shortages() ([]node.Shortage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks = append(p.looks, time.Now())
	if !p.short() {
		return nil, nil
	}
	return []node.Shortage{{Signal: p.signal, Resource: "memory", Threshold: resource.MustParse("100Mi"), Available: resource.MustParse("90Mi")}}, nil
}

func (p *pressure) Conditions() ([]corev1.NodeConditionType, error) {
	return nil, errors.New("unknown") // an error here does not delay evictions
}

// crowd are pods with one container each.
func crowd(names ...string) []*corev1.Pod {
	var pods []*corev1.Pod
	for _, name := range names {
		pod := testpod.New(corev1.RestartPolicyAlways, "main")
		pod.Name, pod.UID = name, types.UID(name)
		pods = append(pods, pod)
	}
	return pods
}

// usage sets the memory that the guest of each pod uses, and counts the guests that run.
func (h *home) usage(used map[string]int64) {
	for _, g := range h.engine.all() {
		g.use(runtime.Stats{Memory: used[g.spec.Of.Pod]})
	}
}

func (h *home) running() (names []string) {
	for _, g := range h.engine.all() {
		if !ended(g) {
			names = append(names, g.spec.Of.Pod)
		}
	}
	slices.Sort(names)
	return names
}

func (h *home) get(name string) *corev1.Pod {
	h.t.Helper()
	pod, err := h.client.CoreV1().Pods("ns").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	return pod
}

// TestEvictForMemory: pods are evicted one by one until there is enough memory. They are not
// started again. A critical pod is never evicted.
func TestEvictForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := crowd("critical", "large", "modest", "small")
		high := int32(2_000_000_000) // the priority of pods that the cluster needs
		pods[0].Spec.Priority = &high
		testpod.Requesting(pods[2], "0", "64Mi")
		h := newHome(t, pods...)
		enough := 3 // this many guests have enough memory
		p := &pressure{signal: node.MemoryAvailable}
		counts := metrics.NewPods()
		h.alter = func(s *Settings) { s.Pressure, s.Metrics = p, counts }
		calm := true
		p.short = func() bool { return !calm && len(h.running()) > enough }
		h.run(func(*Manager) {
			pass(time.Second)
			h.usage(map[string]int64{"critical": 900 << 20, "large": 30 << 20, "modest": 60 << 20, "small": 20 << 20})
			steps := func(least int, d time.Duration, want ...string) {
				t.Helper()
				p.mu.Lock()
				calm, enough = false, least
				p.mu.Unlock()
				pass(d)
				if got := h.running(); !slices.Equal(got, want) {
					t.Errorf("%v run, want %v", got, want)
				}
			}
			steps(3, 15*time.Second, "critical", "modest", "small")
			steps(2, 15*time.Second, "critical", "modest")
			steps(0, time.Minute, "critical")
			pod := h.get("large")
			const message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 90Mi. Container main was using 30Mi, request is 0, has larger consumption of memory. "
			if s := pod.Status; s.Phase != corev1.PodFailed || s.Reason != "Evicted" || s.Message != message {
				t.Errorf("%s %s %q", s.Phase, s.Reason, s.Message)
			}
			var target *corev1.PodCondition
			for i, c := range pod.Status.Conditions {
				if c.Type == corev1.DisruptionTarget {
					target = &pod.Status.Conditions[i]
				}
			}
			if target == nil || target.Status != corev1.ConditionTrue || target.Reason != "TerminationByKubelet" || target.Message != message {
				t.Errorf("DisruptionTarget: %+v", target)
			}
			if m := h.get("modest").Status.Message; strings.Contains(m, "Container") {
				t.Errorf("of a pod that has what it asked for: %q", m)
			}
			var m dto.Metric
			if err := counts.Evictions.WithLabelValues("memory.available").Write(&m); err != nil || m.GetCounter().GetValue() != 3 {
				t.Errorf("evictions are counted as %v, %v", m.GetCounter(), err)
			}
			events := h.drain()
			for _, want := range []string{"Warning EvictionThresholdMet Attempting to reclaim memory", "Warning Evicted " + message} {
				if !slices.Contains(events, want) {
					t.Errorf("no event %q among %q", want, events)
				}
			}
		})
	})
}

func (h *home) drain() (events []string) {
	for {
		select {
		case e := <-h.events.Events:
			events = append(events, e)
		default:
			return events
		}
	}
}

// TestEvictionWaits: while an evicted pod has not ended, no other pod is evicted for half a minute.
func TestEvictionWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, crowd("a", "b")...)
		calm := true
		p := &pressure{signal: node.PIDAvailable, short: func() bool { return !calm }}
		h.alter = func(s *Settings) { s.Pressure = p }
		h.run(func(*Manager) {
			pass(time.Second)
			for _, g := range h.engine.all() {
				g.mu.Lock()
				g.dying = time.Hour
				g.mu.Unlock()
			}
			p.mu.Lock()
			calm, p.looks = false, nil
			p.mu.Unlock()
			pass(30 * time.Second)
			p.mu.Lock()
			defer p.mu.Unlock()
			if len(p.looks) != 1 {
				t.Errorf("%d looks", len(p.looks))
			}
		})
	})
}

// TestEvictForDisk: files that no pod needs are removed first. Then the pod with the most files is
// evicted, and its files are removed.
func TestEvictForDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHome(t, crowd("large", "little", "over")...)
		file := func(pod string) string {
			return filepath.Join(h.dataDir, "pods", pod, "containers", "main", "root", "file")
		}
		logs := func(pod string) string { return filepath.Join(h.dataDir, "logs", "ns_"+pod+"_"+pod) }
		there := func(path string) bool { _, err := os.Stat(path); return err == nil }
		var freed int
		calm := true
		p := &pressure{signal: node.DiskAvailable}
		p.short = func() bool { return !calm && (freed == 0 || there(file("large")) || there(logs("large"))) }
		h.alter = func(s *Settings) {
			s.Pressure = p
			s.FreeDisk = func(context.Context) { p.mu.Lock(); freed++; p.mu.Unlock() }
		}
		h.run(func(*Manager) {
			pass(time.Second)
			for _, g := range h.engine.all() {
				if g.spec.Of.Pod == "over" {
					g.end(0)
				}
			}
			for pod, size := range map[string]int{"large": 2 << 20, "little": 4 << 10} {
				if err := os.WriteFile(file(pod), make([]byte, size), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p.mu.Lock()
			calm = false
			p.mu.Unlock()
			pass(time.Minute)
			if got := h.get("large").Status; got.Reason != "Evicted" || !strings.Contains(got.Message, "Container main was using 2") {
				t.Errorf("large: %s %q", got.Reason, got.Message)
			}
			if got := h.get("little").Status; got.Phase != corev1.PodRunning || !there(file("little")) || !there(logs("little")) {
				t.Errorf("little: %s %s", got.Phase, got.Reason)
			}
			if freed < 2 {
				t.Errorf("freed %d times", freed)
			}
		})
	})
}

// TestFreedIsEnough: if it is enough to remove files that no pod needs, no pod is evicted.
func TestFreedIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := crowd("a", "done")
		pods[1].Spec.RestartPolicy = corev1.RestartPolicyNever
		h := newHome(t, pods...)
		var calm, freed = true, false
		p := &pressure{signal: node.InodesFree}
		p.short = func() bool { return !calm && !freed }
		h.alter = func(s *Settings) {
			s.Pressure, s.FreeDisk = p, func(context.Context) { p.mu.Lock(); freed = true; p.mu.Unlock() }
		}
		h.run(func(*Manager) {
			pass(time.Second)
			for _, g := range h.engine.all() {
				if g.spec.Of.Pod == "done" {
					g.end(0)
				}
			}
			pass(time.Second)
			p.mu.Lock()
			calm = false
			p.mu.Unlock()
			pass(time.Minute)
			if got := h.get("a").Status.Phase; got != corev1.PodRunning {
				t.Errorf("a is %s", got)
			}
			for pod, want := range map[string]bool{"a": true, "done": false} {
				_, err := os.Stat(filepath.Join(h.dataDir, "logs", "ns_"+pod+"_"+pod))
				if (err == nil) != want {
					t.Errorf("logs of %s: %v", pod, err)
				}
			}
		})
	})
}
