package scrape

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// handlers are the figures of fake handlers, by container.
type handlers map[string]runtime.HTTPStats

func (h handlers) HandlerStats(_ context.Context, yield func(namespace, pod, container string, used runtime.HTTPStats)) {
	for name, used := range h {
		yield("ns", "p", name, used)
	}
}

func TestHandlers(t *testing.T) {
	used := runtime.HTTPStats{
		Answers: map[int]uint64{200: 5, 503: 2, 0: 1, 999: 3}, Aborted: 4, Seconds: 61.5, Received: 10, Sent: 20, Open: 6, Active: 2,
		Queued: 1, Instances: 3, Cold: 7, Warm: 8, Traps: 9, Memory: 11, Timeouts: 12,
	}
	used.Durations[0], used.Durations[3], used.Durations[len(used.Durations)-1] = 2, 5, 1
	h := Handlers{handlers{"a": used, "idle": {}}}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(h)
	families, err := registry.Gather()
	if err != nil || len(families) != 11 {
		t.Fatalf("%d metrics, %v", len(families), err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "krustlet_wasi_http_")
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if one := m.GetHistogram(); one != nil {
				got[name] = float64(one.GetSampleCount())
				if one.GetSampleSum() != 61.5 || len(one.GetBucket()) != 15 || one.GetBucket()[14].GetCumulativeCount() != 7 {
					t.Errorf("durations: %v", one)
				}
			}
		}
	}
	want := map[string]float64{"request_duration_seconds a ns p": 8}
	for code, n := range map[string]float64{"200": 5, "503": 2, "other": 4} {
		want["requests_total "+code+" a ns p"] = n
	}
	for name, n := range map[string]float64{
		"received_bytes_total %s ns p": 10, "sent_bytes_total %s ns p": 20, "connections %s ns p": 6, "requests_active %s ns p": 2,
		"requests_queued %s ns p": 1, "instances %s ns p": 3, "starts_total %s cold ns p": 7, "starts_total %s warm ns p": 8,
		"instance_faults_total %s ns p trap": 9, "instance_faults_total %s ns p memory": 11, "instance_faults_total %s ns p timeout": 12,
		"requests_aborted_total %s ns p": 4,
	} {
		want[fmt.Sprintf(name, "a")], want[fmt.Sprintf(name, "idle")] = n, 0
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
