package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// collector is an OpenTelemetry collector that keeps the traces that it gets.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer
	address string

	mu    sync.Mutex
	spans []*tracepb.Span
}

// newCollector starts a collector on loopback. It ends with the test.
func newCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{address: listener.Addr().String()}
	server := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(server, c)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c
}

// Export implements the protocol.
func (c *collector) Export(_ context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range req.GetResourceSpans() {
		for _, scope := range r.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func (c *collector) all() []*tracepb.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// testTraces: the start of a pod is one trace. It has a nested span for each step.
func testTraces(t *testing.T, c *collector, ns string) {
	testnode.Eventually(t, func() error {
		all := c.all()
		i := slices.IndexFunc(all, func(s *tracepb.Span) bool {
			return s.GetName() == "pod.start" && attribute(s.GetAttributes(), "k8s.pod.name") == "holds" && attribute(s.GetAttributes(), "k8s.namespace.name") == ns
		})
		if i < 0 {
			return fmt.Errorf("no span of the pod's start among %d", len(all))
		}
		root := all[i]
		names := map[string]string{} // the spans of the trace, by ID
		for _, s := range all {
			if string(s.GetTraceId()) == string(root.GetTraceId()) {
				names[hex.EncodeToString(s.GetSpanId())] = s.GetName()
			}
		}
		within := map[string]string{}
		for _, s := range all {
			if string(s.GetTraceId()) == string(root.GetTraceId()) {
				within[s.GetName()] = names[hex.EncodeToString(s.GetParentSpanId())]
			}
			if s.GetEndTimeUnixNano() < s.GetStartTimeUnixNano() {
				t.Errorf("span %s ends before it begins", s.GetName())
			}
		}
		for name, parent := range map[string]string{
			"pod.start": "", "pod.setup": "pod.start", "container.start": "pod.start",
			"module.compile": "container.start", "pod.status": "pod.start",
		} {
			if got, ok := within[name]; !ok || got != parent {
				return fmt.Errorf("span %s within %q, want within %q; all: %v", name, got, parent, within)
			}
		}
		if !slices.ContainsFunc(all, func(s *tracepb.Span) bool { return s.GetName() == "image.pull" }) {
			return fmt.Errorf("nothing was pulled: %v", names)
		}
		return nil
	})
}

func attribute(all []*commonpb.KeyValue, key string) string {
	for _, a := range all {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}
