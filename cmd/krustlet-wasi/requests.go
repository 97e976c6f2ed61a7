package main

import (
	"context"
	"net"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// requestKey is the key of a finished request in a context.
type requestKey struct{}

// finished is the request in a context, or nil.
func finished(ctx context.Context) *runtime.HTTPSpan {
	span, _ := ctx.Value(requestKey{}).(*runtime.HTTPSpan)
	return span
}

// requestIDs gives a finished request the IDs that its worker has chosen, because the guest has
// sent them on to others. Other spans get new IDs.
type requestIDs struct{ sdktrace.IDGenerator }

// NewIDs implements sdktrace.IDGenerator.
func (g requestIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if span := finished(ctx); span != nil {
		return span.Trace, span.Span
	}
	return g.IDGenerator.NewIDs(ctx)
}

// NewSpanID implements sdktrace.IDGenerator.
func (g requestIDs) NewSpanID(ctx context.Context, in trace.TraceID) trace.SpanID {
	if span := finished(ctx); span != nil {
		return span.Span
	}
	return g.IDGenerator.NewSpanID(ctx, in)
}

// requestSampler keeps all finished requests, because their worker has decided which are kept.
type requestSampler struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (s requestSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	if finished(p.ParentContext) != nil {
		return sdktrace.AlwaysSample().ShouldSample(p)
	}
	return s.Sampler.ShouldSample(p)
}

// recordRequest records a finished request. of are attributes of its pod.
func recordRequest(ctx context.Context, tracer trace.Tracer, span runtime.HTTPSpan, of []attribute.KeyValue) {
	ctx = context.WithValue(ctx, requestKey{}, &span)
	options := []trace.SpanStartOption{
		trace.WithTimestamp(span.Start), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(of...),
		trace.WithAttributes(attribute.String("http.request.method", span.Method), attribute.String("url.path", span.Path)),
	}
	if span.Parent != ([8]byte{}) {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: span.Trace, SpanID: span.Parent, TraceFlags: trace.TraceFlags(span.Flags), Remote: true,
		}))
	} else {
		options = append(options, trace.WithNewRoot())
	}
	if host, port, err := net.SplitHostPort(span.Server); err == nil {
		options = append(options, trace.WithAttributes(attribute.String("server.address", host)))
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			options = append(options, trace.WithAttributes(attribute.Int("server.port", int(n))))
		}
	}
	_, made := tracer.Start(ctx, span.Method, options...)
	if span.Status != 0 {
		made.SetAttributes(attribute.Int("http.response.status_code", span.Status))
	}
	switch {
	case span.Aborted:
		made.SetAttributes(attribute.String("error.type", "aborted"))
		made.SetStatus(codes.Error, "the answer could not be completed")
	case span.Status >= 500:
		made.SetAttributes(attribute.String("error.type", strconv.Itoa(span.Status)))
		made.SetStatus(codes.Error, "")
	}
	made.End(trace.WithTimestamp(span.Start.Add(span.Duration)))
}
