package scrape

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
)

// TestRates: a rate is computed over ten seconds or more, and begins again with each run of a
// container.
func TestRates(t *testing.T) {
	var r Rates
	start := time.Unix(1_700_000_000, 0)
	rate := func(after time.Duration, cpu time.Duration, change func(*stats.ContainerStats)) string {
		used := uint64(cpu)
		measured := func() *stats.CPUStats {
			return &stats.CPUStats{Time: metav1.NewTime(start.Add(after)), UsageCoreNanoSeconds: &used}
		}
		summary := stats.Summary{Pods: []stats.PodStats{{
			PodRef: stats.PodReference{Name: "p", Namespace: "ns", UID: "u"}, CPU: measured(),
			Containers: []stats.ContainerStats{{Name: "c", StartTime: metav1.Unix(1_700_000_000, 500_000_000), CPU: measured()}},
		}}}
		c := &summary.Pods[0].Containers[0]
		if change != nil {
			change(c)
		}
		r.Add(&summary)
		if c.CPU.UsageNanoCores == nil {
			return "none"
		}
		return fmt.Sprint(*c.CPU.UsageNanoCores)
	}
	restarted := func(c *stats.ContainerStats) { c.StartTime = metav1.NewTime(start.Add(time.Minute)) }
	for _, step := range []struct {
		after, cpu time.Duration
		change     func(*stats.ContainerStats)
		want       string
	}{
		{0, time.Second, nil, "none"},
		{5 * time.Second, 2 * time.Second, nil, "none"},         // too soon
		{10 * time.Second, 3 * time.Second, nil, "200000000"},   // 2 s in 10 s, not 1 s in 5 s
		{11 * time.Second, 4 * time.Second, nil, "200000000"},   // the same again
		{20 * time.Second, 13 * time.Second, nil, "1000000000"}, // a whole core
		{61 * time.Second, time.Millisecond, restarted, "none"}, // another run
		{71 * time.Second, 501 * time.Millisecond, restarted, "50000000"},
	} {
		if got := rate(step.after, step.cpu, step.change); got != step.want {
			t.Errorf("after %v, used %v: %s, want %s", step.after, step.cpu, got, step.want)
		}
	}
	if n := len(r.seen); n != 2 {
		t.Errorf("%d counters are remembered, of a pod and its container", n)
	}
}
