package kubeletapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/krustlet-go/krustlet-wasi/kubeletapi/scrape"
)

// fakeStats is a Stats.
type fakeStats struct {
	node stats.NodeStats
	err  error
	pods func(disks bool) []stats.PodStats // nil: none

	claims []stats.VolumeStats
}

func (f fakeStats) NodeStats(context.Context, bool) (stats.NodeStats, error) { return f.node, f.err }

func (f fakeStats) PodStats(_ context.Context, disks bool) []stats.PodStats {
	if f.pods == nil {
		return nil
	}
	return f.pods(disks)
}

func (f fakeStats) ClaimStats() []stats.VolumeStats { return f.claims }

func count(n uint64) *uint64 { return &n }

// use is a use of processors and memory at a time.
func use(at time.Time, cpu time.Duration, memory uint64) (*stats.CPUStats, *stats.MemoryStats) {
	t := metav1.NewTime(at)
	return &stats.CPUStats{Time: t, UsageCoreNanoSeconds: count(uint64(cpu))}, &stats.MemoryStats{Time: t, WorkingSetBytes: &memory}
}

// onePod is a pod ns/p with a container c.
func onePod(at time.Time, cpu time.Duration, memory uint64) []stats.PodStats {
	c := stats.ContainerStats{Name: "c", StartTime: metav1.Unix(1_700_000_000, 500_000_000)}
	c.CPU, c.Memory = use(at, cpu, memory)
	pod := stats.PodStats{PodRef: stats.PodReference{Name: "p", Namespace: "ns", UID: "u"}, Containers: []stats.ContainerStats{c}}
	pod.CPU, pod.Memory = use(at, cpu, memory)
	return []stats.PodStats{pod}
}

// TestResourceMetrics checks that the page has what metrics-server reads, with the times.
func TestResourceMetrics(t *testing.T) {
	at := time.UnixMilli(1_700_000_100_123)
	f := fakeStats{pods: func(disks bool) []stats.PodStats {
		if disks {
			t.Error("disks were asked for")
		}
		return onePod(at, 1500*time.Millisecond, 65536)
	}}
	f.node.CPU, f.node.Memory = use(at, time.Hour, 1<<30)
	s := newServer(t, func(c *Config) { c.Stats = f })
	page := serve(s, "GET", "/metrics/resource", "u").Body.String()
	for _, want := range []string{
		`container_cpu_usage_seconds_total{container="c",namespace="ns",pod="p"} 1.5 1700000100123`,
		`container_memory_working_set_bytes{container="c",namespace="ns",pod="p"} 65536 1700000100123`,
		`container_start_time_seconds{container="c",namespace="ns",pod="p"} 1.7000000005e+09`,
		`pod_cpu_usage_seconds_total{namespace="ns",pod="p"} 1.5 1700000100123`,
		`pod_memory_working_set_bytes{namespace="ns",pod="p"} 65536 1700000100123`,
		`node_cpu_usage_seconds_total 3600 1700000100123`,
		`node_memory_working_set_bytes 1.073741824e+09 1700000100123`,
		`resource_scrape_error 0`,
		`# TYPE container_cpu_usage_seconds_total counter`,
		`# TYPE container_memory_working_set_bytes gauge`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no line %q in:\n%s", want, page)
		}
	}
	f.err = errors.New("no /proc")
	s = newServer(t, func(c *Config) { c.Stats = f })
	if page := serve(s, "GET", "/metrics/resource", "u").Body.String(); !strings.Contains(page, "resource_scrape_error 1\n") || !strings.Contains(page, "container_cpu") {
		t.Errorf("without the node's use:\n%s", page)
	}
}

// TestResourceMetricsOfNamesakes: a deleted pod and its successor of the same name do not make the
// page invalid.
func TestResourceMetricsOfNamesakes(t *testing.T) {
	at := time.Now()
	f := fakeStats{pods: func(bool) []stats.PodStats {
		other := onePod(at, time.Second, 1)
		other[0].PodRef.Name = "other"
		return append(append(onePod(at, time.Second, 1), onePod(at, time.Minute, 2)...), other...)
	}}
	s := newServer(t, func(c *Config) { c.Stats = f })
	w := serve(s, "GET", "/metrics/resource", "u")
	page := w.Body.String()
	if n := strings.Count(page, `container_cpu_usage_seconds_total{container="c",namespace="ns",pod="p"}`); w.Code != 200 || n != 1 || !strings.Contains(page, `pod="other"`) {
		t.Errorf("code %d, pod told %d times:\n%s", w.Code, n, page)
	}
}

func TestSummary(t *testing.T) {
	at := time.Unix(1_700_000_100, 0)
	asked := []bool{}
	f := fakeStats{pods: func(disks bool) []stats.PodStats {
		asked = append(asked, disks)
		pods := onePod(at, time.Second, 65536)
		pods[0].Network = &stats.NetworkStats{InterfaceStats: stats.InterfaceStats{Name: "eth0"}}
		return pods
	}}
	f.node.NodeName = "n"
	s := newServer(t, func(c *Config) { c.Stats = f })
	for _, target := range []string{"/stats/summary", "/stats/summary?only_cpu_and_memory=true", "/stats/summary?only_cpu_and_memory=false"} {
		w := serve(s, "GET", target, "u")
		var summary stats.Summary
		if err := json.Unmarshal(w.Body.Bytes(), &summary); err != nil {
			t.Fatal(err)
		}
		if summary.Node.NodeName != "n" || len(summary.Pods) != 1 || *summary.Pods[0].Containers[0].CPU.UsageCoreNanoSeconds != 1e9 {
			t.Errorf("%s: %s", target, w.Body)
		}
		if network, wanted := summary.Pods[0].Network, !strings.HasSuffix(target, "=true"); (network != nil) != wanted {
			t.Errorf("%s: network %v", target, network)
		}
	}
	if fmt.Sprint(asked) != "[true false true]" {
		t.Errorf("disks asked for: %v", asked)
	}
	if body := serve(newServer(t, nil), "GET", "/stats/summary", "u").Body.String(); !strings.Contains(body, `"pods": []`) {
		t.Errorf("without pods: %s", body)
	}
	s = newServer(t, func(c *Config) { c.Stats = fakeStats{err: errors.New("no /proc")} })
	if w := serve(s, "GET", "/stats/summary", "u"); w.Code != 500 || !strings.Contains(w.Body.String(), "no /proc") {
		t.Errorf("code %d: %s", w.Code, w.Body)
	}
}

// TestVolumeMetrics: the page has each claim that is a volume, and has it once.
func TestVolumeMetrics(t *testing.T) {
	fs := stats.FsStats{CapacityBytes: count(100), AvailableBytes: count(60), UsedBytes: count(40), Inodes: count(10), InodesFree: count(7), InodesUsed: count(3)}
	claim := stats.VolumeStats{Name: "data", FsStats: fs, PVCRef: &stats.PVCReference{Name: "claim", Namespace: "ns"}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(scrape.Volumes{Stats: fakeStats{claims: []stats.VolumeStats{{Name: "scratch", FsStats: fs}, claim, claim}}})
	s := newServer(t, func(c *Config) { c.Metrics = registry })
	page := serve(s, "GET", "/metrics", "u").Body.String()
	for name, n := range map[string]int{"capacity_bytes": 100, "available_bytes": 60, "used_bytes": 40, "inodes": 10, "inodes_free": 7, "inodes_used": 3} {
		if line := fmt.Sprintf("kubelet_volume_stats_%s{namespace=\"ns\",persistentvolumeclaim=\"claim\"} %d\n", name, n); strings.Count(page, line) != 1 {
			t.Errorf("no line %s in:\n%s", line, page)
		}
	}
	if strings.Contains(page, "scratch") {
		t.Errorf("a volume that is no claim:\n%s", page)
	}
}
