package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	goruntime "runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/scrape"
	"github.com/krustlet-go/krustlet-wasi/node"
	"github.com/krustlet-go/krustlet-wasi/podsync"
	"github.com/krustlet-go/krustlet-wasi/podsync/metrics"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/preview1"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasmtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
	"github.com/krustlet-go/krustlet-wasi/tlsbootstrap"
)

// measures are the agent's metrics, and the pages on which they appear.
type measures struct {
	pods     *metrics.Pods
	probes   *metrics.Probes
	runtime  *metrics.Runtime
	rotation prometheus.Histogram // of serving certificates
	disks    *volume.Meter

	page, probePage *prometheus.Registry // /metrics and /metrics/probes
}

// newMeasures makes the metrics that do not need other parts of the agent.
func newMeasures(cfg config.Config) *measures {
	m := &measures{
		pods:    metrics.NewPods(),
		probes:  metrics.NewProbes(),
		runtime: metrics.NewRuntime(),
		rotation: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kubelet_certificate_manager_server_rotation_seconds",
			Help: "How old serving certificates were when they were replaced.",
			// A minute, 1 and 4 hours, a day, a week, 1, 3, 6, 12 and 48 months.
			Buckets: []float64{60, 3600, 14400, 86400, 604800, 2592000, 7776000, 15552000, 31104000, 124416000},
		}),
		disks:     volume.NewMeter(),
		page:      prometheus.NewRegistry(),
		probePage: prometheus.NewRegistry(),
	}
	m.page.MustRegister(m.pods, m.runtime, m.rotation,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		labelled("kubelet_node_name", "The name of the node. Always 1.", prometheus.Labels{"node": cfg.NodeName}),
		labelled("krustlet_build_info", "What the agent is built of. Always 1.", prometheus.Labels{
			"version": programVersion(), "engine": wasmtime.Version, "go": goruntime.Version(),
		}))
	m.probePage.MustRegister(m.probes)
	return m
}

// labelled is a metric with constant labels, and no other information.
func labelled(name, help string, labels prometheus.Labels) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	g.Set(1)
	return g
}

// watch adds the metrics whose values are read when a client reads the page.
func (m *measures) watch(workers *pool.Pool, pods *podsync.Manager, serving *tlsbootstrap.Serving, usage *usage) {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.page.MustRegister(
		podsync.NewCollector(pods),
		scrape.Volumes{Stats: usage},
		scrape.Handlers{Stats: pods},
		metrics.HostCalls{Functions: hostFunctions(), Ask: workers.HostCalls},
		gauge("krustlet_workers", "Processes that host guests.", func() float64 {
			n, _ := workers.Counts()
			return float64(n)
		}),
		gauge("krustlet_workers_resident_memory_bytes", "Memory of these processes, their guests' and all besides.", func() float64 {
			return float64(workers.Resident())
		}),
		gauge("krustlet_guests", "Guests that run, those of probes, hooks and exec left out.", func() float64 {
			_, guests := workers.Counts()
			return float64(guests)
		}),
		gauge("kubelet_certificate_manager_server_ttl_seconds", "Seconds until the serving certificate expires; +Inf without one.", func() float64 {
			cert, err := serving.GetCertificate(nil)
			if err != nil || cert.Leaf == nil {
				return math.Inf(1)
			}
			return math.Trunc(time.Until(cert.Leaf.NotAfter).Seconds())
		}))
}

// hostFunctions are the names of the functions that guests may call.
func hostFunctions() []string {
	var names []string
	for _, f := range preview1.Functions() {
		names = append(names, f.Name)
	}
	return names
}

// usage is what the node and its pods use. It implements scrape.Stats.
type usage struct {
	*podsync.Manager
	nodeName, dataDir string
	disks             *volume.Meter
	began             time.Time
}

// NodeStats implements scrape.Stats.
func (u *usage) NodeStats(_ context.Context, disks bool) (stats.NodeStats, error) {
	all, err := node.Usage(u.dataDir)
	if err != nil {
		return stats.NodeStats{}, err
	}
	all.NodeName = u.nodeName
	if agent, err := u.agent(); err == nil {
		all.SystemContainers = []stats.ContainerStats{agent}
	}
	if !disks {
		all.Network, all.Rlimit, all.Fs = nil, nil, nil
		return all, nil
	}
	modules := *all.Fs
	modules.UsedBytes, modules.InodesUsed = nil, nil
	if taken, ok := u.disks.Usage(filepath.Join(u.dataDir, "modules")); ok {
		bytes, inodes := uint64(taken.Bytes), uint64(taken.Inodes) //nolint:gosec // counts are not negative
		modules.UsedBytes, modules.InodesUsed = &bytes, &inodes
	}
	all.Runtime = &stats.RuntimeStats{ImageFs: &modules, ContainerFs: all.Fs}
	return all, nil
}

// agent is what this process uses.
func (u *usage) agent() (stats.ContainerStats, error) {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		return stats.ContainerStats{}, err
	}
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return stats.ContainerStats{}, err
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return stats.ContainerStats{}, fmt.Errorf("reading /proc/self/statm: %w", err)
	}
	resident *= uint64(os.Getpagesize()) //nolint:gosec // it is not negative
	processor := uint64(used.Utime.Nano() + used.Stime.Nano())
	now := metav1.Now()
	return stats.ContainerStats{
		Name:      stats.SystemContainerKubelet,
		StartTime: metav1.NewTime(u.began),
		CPU:       &stats.CPUStats{Time: now, UsageCoreNanoSeconds: &processor},
		Memory:    &stats.MemoryStats{Time: now, UsageBytes: &resident, WorkingSetBytes: &resident, RSSBytes: &resident},
	}, nil
}
