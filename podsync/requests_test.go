package podsync

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// tracingEngine tells requests.
type tracingEngine struct {
	*engine
	perMillion int
	spans      []runtime.HTTPSpan
}

func (e *tracingEngine) Spans(ctx context.Context, perMillion int, take func([]runtime.HTTPSpan, uint64)) error {
	e.perMillion = perMillion
	take(e.spans, 5)
	<-ctx.Done()
	return ctx.Err()
}

// TestTraceRequests: a request gets the attributes of its pod. Requests of runs that no container
// has any more are dropped, and counted.
func TestTraceRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		pod := testpod.New(corev1.RestartPolicyAlways, "a")
		s := newShell(t, t.Context(), pod, e, &images{})
		time.Sleep(time.Minute)
		synctest.Wait()
		manager := s.loop.node
		manager.loops.add(pod.UID, s.loop)
		ctx, cancel := context.WithCancel(t.Context())
		manager.traceRequests(ctx) // the engine tells none
		tracing := &tracingEngine{engine: e, spans: []runtime.HTTPSpan{{Run: e.all()[0].spec.ID, Path: "/a"}, {Run: "gone"}}}
		manager.Engine = tracing
		manager.traceRequests(ctx) // there is no collector
		if tracing.perMillion != 0 {
			t.Error("requests are taken although nothing records them")
		}
		got := map[string]string{}
		manager.Requests = RequestTraces{PerMillion: 7, Record: func(_ context.Context, span runtime.HTTPSpan, of []attribute.KeyValue) {
			got["path"] += span.Path
			for _, a := range of {
				got[string(a.Key)] = a.Value.AsString()
			}
		}}
		ended := make(chan struct{})
		go func() { defer close(ended); manager.traceRequests(ctx) }()
		synctest.Wait()
		cancel()
		<-ended
		want := map[string]string{"path": "/a", "k8s.namespace.name": "ns", "k8s.pod.name": "p", "k8s.pod.uid": "u1", "k8s.container.name": "a"}
		if diff := cmp.Diff(want, got); diff != "" || tracing.perMillion != 7 {
			t.Errorf("share %d\n%s", tracing.perMillion, diff)
		}
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(manager.Metrics)
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if n := f.GetMetric()[0].GetCounter().GetValue(); f.GetName() == "krustlet_wasi_http_spans_dropped_total" && n != 6 {
				t.Errorf("%g dropped", n)
			}
		}
	})
}
