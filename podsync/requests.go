package podsync

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/podsync/podspec"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// RequestTraces takes the requests that HTTP handlers have answered and that belong to a trace.
type RequestTraces struct {
	// PerMillion is how many of a million requests are traced that begin a trace. Of the others,
	// those are traced whose caller keeps the trace.
	PerMillion int
	// Record takes one request, with attributes of its pod. It must not block.
	Record func(ctx context.Context, span runtime.HTTPSpan, of []attribute.KeyValue)
}

// traceRequests records requests until ctx ends.
func (m *Manager) traceRequests(ctx context.Context) {
	tracer, ok := m.Engine.(runtime.HTTPTracer)
	if !ok || m.Requests.Record == nil {
		return
	}
	err := tracer.Spans(ctx, m.Requests.PerMillion, func(spans []runtime.HTTPSpan, dropped uint64) {
		of := m.runAttributes()
		for _, s := range spans {
			if pod := of[s.Run]; pod != nil {
				m.Requests.Record(ctx, s, pod)
			} else {
				dropped++
			}
		}
		m.Metrics.DroppedSpans.Add(float64(dropped))
	})
	if ctx.Err() == nil {
		m.Log.Error("requests of HTTP handlers are not traced any more", zap.Error(err))
	}
}

// runAttributes are the attributes of all pods, by the ID of the last run of each container.
func (m *Manager) runAttributes() map[string][]attribute.KeyValue {
	all := map[string][]attribute.KeyValue{}
	for _, w := range m.loops.all() {
		v := w.view.Load()
		for _, c := range podspec.Containers(v.pod) {
			if run := v.runs[c.Name]; run.id != "" {
				all[run.id] = []attribute.KeyValue{
					attribute.String("k8s.namespace.name", v.pod.Namespace), attribute.String("k8s.pod.name", v.pod.Name),
					attribute.String("k8s.pod.uid", string(v.pod.UID)), attribute.String("k8s.container.name", c.Name),
				}
			}
		}
	}
	return all
}
