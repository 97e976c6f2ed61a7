package scrape

import (
	"sync"
	"time"

	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// rateWindow is the shortest time for a rate of the use of processors. A client that asks more
// often gets the same rate again.
const rateWindow = 10 * time.Second

// Rates remembers counters, to compute how fast they grow. The zero value remembers nothing.
type Rates struct {
	mu   sync.Mutex
	seen map[string]look
}

// look is a counter at a time, with the rate at which it had grown until then. The rate is nil at
// the first look.
type look struct {
	at   time.Time
	used uint64
	rate *uint64
}

// Add adds the rates of the use of processors to a summary. It forgets the counters that are not in
// the summary.
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

// next is the look to remember after another look.
func next(before, now look) look {
	took := now.at.Sub(before.at)
	switch {
	case before.at.IsZero() || now.used < before.used: // the first look, or a counter that began again at 0
		return now
	case took < rateWindow:
		return before
	}
	rate := uint64(float64(now.used-before.used) / took.Seconds())
	now.rate = &rate
	return now
}
