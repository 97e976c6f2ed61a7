package bench

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func BenchmarkPod(b *testing.B) {
	f := newField(b, "--max-pods", "600")
	for _, row := range []struct {
		name  string
		pods  int // at the same time
		image string
		bound bool
		class string
	}{
		{"start/tiny", 1, f.tiny, false, ""},
		{"start/bound", 1, f.tiny, true, ""},
		{"start/isolated", 1, f.tiny, true, isolated},
		{"start/go", 1, f.hello, false, ""},
		{"start/component", 1, f.component, false, ""},
		{"burst100/tiny", 100, f.tiny, false, ""},
		{"burst100/bound", 100, f.tiny, true, ""},
		{"burst100/isolated", 100, f.tiny, true, isolated},
		{"burst100/go", 100, f.hello, false, ""},
		{"burst100/component", 100, f.component, false, ""},
		{"burst500/bound", 500, f.tiny, true, ""},
	} {
		b.Run(row.name, func(b *testing.B) {
			f.benchmarkPods(b, row.pods, func() *corev1.Pod {
				pod := f.pod(row.image, row.bound)
				if row.class != "" {
					pod.Spec.RuntimeClassName = &row.class
				}
				return pod
			})
		})
	}
}

// yardstickWrites is how many writes measure the yardstick after a round.
const yardstickWrites = 3

// benchmarkPods makes rounds of this many pods at the same time.
func (f *field) benchmarkPods(b *testing.B, pods int, newPod func() *corev1.Pod) {
	seen := observe(b, f.watcher, f.namespace)
	api := newYardstick(b, f)
	f.clear(b, seen, f.start(b, seen, newPod())) // makes the node pull and compile the image
	var rounds, totals, shares, gone []time.Duration
	for b.Loop() {
		b.StopTimer()
		round := make([]*corev1.Pod, pods)
		for i := range round {
			round[i] = newPod()
		}
		b.StartTimer()
		began := time.Now()
		trails := f.start(b, seen, round...)
		b.StopTimer()
		rounds = append(rounds, lastRunning(trails).Sub(began))
		for _, t := range trails {
			totals = append(totals, t.running.Sub(t.called))
			shares = append(shares, t.running.Sub(t.bound))
		}
		deleted := time.Now()
		f.clear(b, seen, trails)
		gone = append(gone, time.Since(deleted))
		if pods > 1 {
			f.calmDown(b)
		}
		api.take(b, yardstickWrites)
		b.StartTimer()
	}
	report(b, "p50-ms", quantile(totals, 0.5))
	report(b, "node-p50-ms", quantile(shares, 0.5))
	report(b, "api-p50-ms", quantile(api.times, 0.5))
	b.ReportMetric(float64(quantile(rounds, 0.5))/float64(pods)/float64(quantile(api.times, 0.5)), "x-api")
	if pods == 1 {
		report(b, "p90-ms", quantile(totals, 0.9))
		report(b, "max-ms", quantile(totals, 1))
		return
	}
	report(b, "gone-ms", quantile(gone, 0.5))
	report(b, "all-min-ms", quantile(rounds, 0))
	report(b, "all-ms", quantile(rounds, 0.5))
	report(b, "all-max-ms", quantile(rounds, 1))
}

func report(b *testing.B, unit string, d time.Duration) {
	b.ReportMetric(float64(d.Microseconds())/1000, unit)
}

func lastRunning(trails map[string]*trail) time.Time {
	var last time.Time
	for _, t := range trails {
		if t.running.After(last) {
			last = t.running
		}
	}
	return last
}

// quantile is the value at the fraction q of the sorted values: 0 is the smallest, 1 the largest.
func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
