package bench

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// idlePods is the usual largest number of pods on a node.
const idlePods = 110

func BenchmarkIdle(b *testing.B) {
	for _, row := range []struct {
		name  string
		probe *corev1.Probe
	}{
		{"plain", nil},
		{"probed", &corev1.Probe{PeriodSeconds: 10, ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"kitchen", "exit", "0"}}}}},
	} {
		b.Run(row.name, func(b *testing.B) {
			f := newField(b, "--max-pods", "200")
			seen := observe(b, f.watcher, f.namespace)
			var pods []*corev1.Pod
			for range idlePods {
				pod := f.pod(f.kitchen, true)
				pod.Spec.Containers[0].Args = []string{"sleep"}
				pod.Spec.Containers[0].ReadinessProbe = row.probe
				pods = append(pods, pod)
			}
			f.start(b, seen, pods...)
			f.calmDown(b)
			worker := f.node.Workers(b)[0].PID
			agent := f.node.Process().PID()
			began, agentBefore, workerBefore := time.Now(), used(b, agent), used(b, worker)
			for b.Loop() {
				time.Sleep(10 * time.Second) // the measurement is about this time
			}
			took := time.Since(began)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(100*float64(used(b, agent)-agentBefore)/float64(took), "agent-%")
			b.ReportMetric(100*float64(used(b, worker)-workerBefore)/float64(took), "worker-%")
			b.ReportMetric(float64(resident(b, worker)>>10)/idlePods, "worker-KB/pod")
			b.ReportMetric(float64(resident(b, agent)>>20), "agent-MB")
		})
	}
}

// used is the processor time of a process so far, user and system time. Its unit is a tick of 10
// ms.
func used(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	total := time.Duration(0)
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(n) * 10 * time.Millisecond
	}
	return total
}

// resident is the anonymous memory of a process, in bytes.
func resident(b *testing.B, pid int) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("RssAnon:")); ok {
			n, err := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n << 10
		}
	}
	b.Fatal("no RssAnon")
	return 0
}
