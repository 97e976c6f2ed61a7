package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/podsync"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// tracingPatience is how long the agent waits at its end until the last traces are sent.
const tracingPatience = 2 * time.Second

// newTracer makes the tracer that sends traces of pods to an OpenTelemetry collector, if the
// settings name one. It connects in the background. If the collector is unreachable, only the
// traces are lost.
//
// requests sends the requests that HTTP handlers have answered. Without a collector it takes none.
func newTracer(ctx context.Context, cfg config.Config, log *zap.Logger) (tracer trace.Tracer, requests podsync.RequestTraces, stop func(), err error) {
	const name = "github.com/krustlet-go/krustlet-wasi"
	if cfg.TracingEndpoint == "" {
		return noop.NewTracerProvider().Tracer(name), requests, func() {}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(cfg.TracingEndpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, requests, nil, fmt.Errorf("tracing to %s: %w", cfg.TracingEndpoint, err)
	}
	// The library has one handler for errors in the background. By default that handler writes to
	// standard error.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are lost", zap.Error(err)) }))
	provider := newTraceProvider(sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)), cfg.TracingSamplingRatePerMillion,
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "krustlet-wasi"), attribute.String("service.version", programVersion()),
			attribute.String("k8s.node.name", cfg.NodeName), attribute.String("host.name", cfg.Hostname))),
	)
	tracer = provider.Tracer(name)
	requests = podsync.RequestTraces{
		PerMillion: cfg.TracingSamplingRatePerMillion,
		Record: func(ctx context.Context, span runtime.HTTPSpan, of []attribute.KeyValue) {
			recordRequest(ctx, tracer, span, of)
		},
	}
	return tracer, requests, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracingPatience)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("the last traces could not be sent", zap.Error(err))
		}
	}, nil
}

// newTraceProvider makes what keeps a share of the traces of pods, and all requests that workers
// tell.
func newTraceProvider(to sdktrace.TracerProviderOption, perMillion int, more ...sdktrace.TracerProviderOption) *sdktrace.TracerProvider {
	share := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(float64(perMillion) / config.AllTraces))
	return sdktrace.NewTracerProvider(append(more, to,
		sdktrace.WithSampler(requestSampler{share}), sdktrace.WithIDGenerator(requestIDs{randomIDs{}}))...)
}

// randomIDs makes the IDs of spans.
type randomIDs struct{}

// NewIDs implements sdktrace.IDGenerator.
func (randomIDs) NewIDs(context.Context) (in trace.TraceID, span trace.SpanID) {
	_, _ = rand.Read(in[:]) // it never fails
	_, _ = rand.Read(span[:])
	return in, span
}

// NewSpanID implements sdktrace.IDGenerator.
func (randomIDs) NewSpanID(context.Context, trace.TraceID) (span trace.SpanID) {
	_, _ = rand.Read(span[:]) // it never fails
	return span
}

// tracedCompiler tells the tracer how long pods wait for modules.
type tracedCompiler struct {
	pool.Compiler
	tracer trace.Tracer
}

// Compile implements pool.Compiler.
func (c tracedCompiler) Compile(ctx context.Context, pod, digest, file string) error {
	ctx, span := c.tracer.Start(ctx, "module.compile", trace.WithAttributes(attribute.String("oci.module.digest", digest)))
	defer span.End()
	err := c.Compiler.Compile(ctx, pod, digest, file)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}
