package scrape

import (
	"sync"
	"time"

	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// rateWindow is the shortest time over which use of processors is told as a rate. A client that
// asks more often gets the same rate again.
const rateWindow = 10 * time.Second

// Rates remembers counters, to tell how fast they grow. The zero value remembers nothing.
type Rates struct {
	mu   sync.Mutex
	seen map[string]look
}

// look is a counter at a time, and how fast it had grown until then; nil where that was the first
// look.
type look struct {
	at   time.Time
	used uint64
	rate *uint64
}

// Add puts the rates of processors in use into a summary. What it has seen before of those that are
// not in the summary, it forgets.
func (r *Rates) Add(summary *stats.Summary) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := map[string]look{}
	put := func(key string, cpu *stats.CPUStats) {
		if cpu == nil || cpu.UsageCoreNanoSeconds == nil {
			return
		}
		l := next(r.seen[key], look{at: cpu.Time.Time, used: *cpu.UsageCoreNanoSeconds})
		now[key], cpu.UsageNanoCores = l, l.rate
	}
	put("", summary.Node.CPU)
	for i := range summary.Node.SystemContainers {
		put("/"+summary.Node.SystemContainers[i].Name, summary.Node.SystemContainers[i].CPU)
	}
	for i := range summary.Pods {
		pod := &summary.Pods[i]
		put(pod.PodRef.UID, pod.CPU)
		for j := range pod.Containers {
			c := &pod.Containers[j]
			put(pod.PodRef.UID+"/"+c.Name+"/"+c.StartTime.String(), c.CPU)
		}
	}
	r.seen = now
}

// next is what rates remember after another look.
func next(before, now look) look {
	took := now.at.Sub(before.at)
	switch {
	case before.at.IsZero() || now.used < before.used: // the first, or a counter that began again at 0
		return now
	case took < rateWindow:
		return before
	}
	rate := uint64(float64(now.used-before.used) / took.Seconds())
	now.rate = &rate
	return now
}
