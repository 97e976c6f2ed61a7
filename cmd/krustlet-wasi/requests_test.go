package main

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// exported are the spans that reach a collector.
type exported []sdktrace.ReadOnlySpan

func (e *exported) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	*e = append(*e, spans...)
	return nil
}

func (e *exported) Shutdown(context.Context) error { return nil }

// TestRecordRequest: a request reaches the collector with the IDs, times and result that its worker
// has told, whatever share of pods is traced.
func TestRecordRequest(t *testing.T) {
	var got exported
	provider := newTraceProvider(sdktrace.WithSyncer(&got), 0)
	tracer := provider.Tracer("test")
	_, dropped := tracer.Start(t.Context(), "pod.start")
	dropped.End()
	start := time.Unix(1_800_000_000, 5)
	child := runtime.HTTPSpan{
		Trace: [16]byte{1}, Parent: [8]byte{2}, Span: [8]byte{3}, Flags: 1, Start: start, Duration: time.Second,
		Method: "GET", Path: "/a", Status: 204, Server: "[fd00::1]:8080",
	}
	root := child
	root.Parent, root.Span, root.Status, root.Server = [8]byte{}, [8]byte{4}, 503, "?"
	aborted := child
	aborted.Span, aborted.Status, aborted.Aborted = [8]byte{5}, 0, true
	for _, s := range []runtime.HTTPSpan{child, root, aborted} {
		recordRequest(t.Context(), tracer, s, []attribute.KeyValue{attribute.String("k8s.pod.name", "p")})
	}
	if len(got) != 3 {
		t.Fatalf("%d spans, want the requests and nothing else", len(got))
	}
	for i, want := range []struct {
		span, parent trace.SpanID
		status       codes.Code
		attributes   map[string]string
	}{
		{child.Span, child.Parent, codes.Unset, map[string]string{"http.response.status_code": "204", "server.address": "fd00::1", "server.port": "8080"}},
		{root.Span, trace.SpanID{}, codes.Error, map[string]string{"http.response.status_code": "503", "error.type": "503"}},
		{aborted.Span, child.Parent, codes.Error, map[string]string{"error.type": "aborted", "server.address": "fd00::1", "server.port": "8080"}},
	} {
		s := got[i]
		if s.SpanContext().TraceID() != child.Trace || s.SpanContext().SpanID() != want.span || s.Parent().SpanID() != want.parent {
			t.Errorf("span %d: %v within %v", i, s.SpanContext(), s.Parent())
		}
		if !s.StartTime().Equal(start) || s.EndTime().Sub(s.StartTime()) != time.Second || s.SpanKind() != trace.SpanKindServer || s.Status().Code != want.status || s.Name() != "GET" {
			t.Errorf("span %d: %+v", i, s)
		}
		for name, value := range map[string]string{"k8s.pod.name": "p", "http.request.method": "GET", "url.path": "/a"} {
			want.attributes[name] = value
		}
		attributes := map[string]string{}
		for _, a := range s.Attributes() {
			attributes[string(a.Key)] = a.Value.Emit()
		}
		if diff := cmp.Diff(want.attributes, attributes); diff != "" {
			t.Errorf("span %d:\n%s", i, diff)
		}
	}
}
