package metrics

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func count(t *testing.T, c prometheus.Collector, name string, labels map[string]string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			matches := f.GetName() == name
			for _, l := range m.GetLabel() {
				if want, asked := labels[l.GetName()]; asked && want != l.GetValue() {
					matches = false
				}
			}
			if matches {
				sum += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestSizeClass(t *testing.T) {
	for size, want := range map[int64]string{
		0: "0-10MB", 10<<20 - 1: "0-10MB", 10 << 20: "10MB-100MB", 1 << 30: "1GB-5GB", 100<<30 - 1: "60GB-100GB", 100 << 30: "GT100GB",
	} {
		if got := sizeClass(size); got != want {
			t.Errorf("%d: %s, want %s", size, got, want)
		}
	}
}

func TestOperations(t *testing.T) {
	p := NewPods()
	p.Operation("start_container", time.Now(), nil)
	p.Operation("start_container", time.Now(), errors.New("no"))
	p.Pulled(5<<20, time.Second)
	of := map[string]string{"operation_type": "start_container"}
	if n, failed := count(t, p, "kubelet_runtime_operations_total", of), count(t, p, "kubelet_runtime_operations_errors_total", of); n != 2 || failed != 1 {
		t.Errorf("%g operations, %g failed", n, failed)
	}
	if n := count(t, p, "kubelet_image_pull_duration_seconds", map[string]string{"image_size_in_bytes": "0-10MB"}); n != 1 {
		t.Errorf("%g pulls", n)
	}
}

// TestProbesAreForgotten: when a pod is removed, all its series are removed.
func TestProbesAreForgotten(t *testing.T) {
	p := NewProbes()
	gone := Probed{Kind: "Liveness", Namespace: "ns", Pod: "p", UID: "u1", Container: "c"}
	stays := gone
	stays.Pod, stays.UID = "q", "u2"
	for _, of := range []Probed{gone, stays} {
		p.Observe(of, Successful, time.Second)
		p.Observe(of, Failed, time.Second) // a failure has no duration, as in a kubelet
		p.Observe(of, Unknown, time.Second)
	}
	if n, timed := count(t, p, "prober_probe_total", map[string]string{"pod_uid": "u1"}), count(t, p, "prober_probe_duration_seconds", map[string]string{"pod": "p"}); n != 3 || timed != 2 {
		t.Errorf("%g probes, of which %g have a duration", n, timed)
	}
	p.Forget("ns", "p", "u1")
	if n := count(t, p, "prober_probe_total", nil); n != 3 {
		t.Errorf("%g probes are left, want those of the other pod", n)
	}
	if n := count(t, p, "prober_probe_duration_seconds", nil); n != 2 {
		t.Errorf("%g durations are left, want those of the other pod", n)
	}
}

func TestCompiled(t *testing.T) {
	r := NewRuntime()
	r.Compiled(true, 0, nil)
	r.Compiled(false, time.Second, nil)
	r.Compiled(false, time.Second, errors.New("no"))
	r.Started(true, time.Millisecond)
	for name, want := range map[string]float64{"krustlet_compile_duration_seconds": 1, "krustlet_compile_errors_total": 1, "krustlet_compile_cache_total": 3} {
		if got := count(t, r, name, nil); got != want {
			t.Errorf("%s: %g, want %g", name, got, want)
		}
	}
	if n := count(t, r, "krustlet_compile_cache_total", map[string]string{"result": "hit"}); n != 1 {
		t.Errorf("%g hits", n)
	}
	if n := count(t, r, "krustlet_guest_start_duration_seconds", map[string]string{"kind": "session"}); n != 1 {
		t.Errorf("%g sessions", n)
	}
}

// TestHostCalls: functions that no guest has called yet are exported too.
func TestHostCalls(t *testing.T) {
	h := HostCalls{Functions: []string{"fd_read", "fd_write"}, Ask: func(context.Context) map[string]uint64 {
		return map[string]uint64{"fd_write": 7, "fd_new": 1}
	}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(h)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 3 {
		t.Fatalf("%v, %v", families, err)
	}
	if n := count(t, h, "krustlet_wasi_host_calls_total", map[string]string{"function": "fd_write"}); n != 7 {
		t.Errorf("%g writes", n)
	}
}
