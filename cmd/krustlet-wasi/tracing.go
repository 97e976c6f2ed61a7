package main

import (
	"context"
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
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// tracingPatience is how long the agent waits at its end until the last traces are sent.
const tracingPatience = 2 * time.Second

// newTracer makes the tracer that sends traces of pods to an OpenTelemetry collector, if the
// settings name one. It connects in the background. If the collector is unreachable, only the
// traces are lost.
func newTracer(ctx context.Context, cfg config.Config, log *zap.Logger) (tracer trace.Tracer, stop func(), err error) {
	const name = "github.com/krustlet-go/krustlet-wasi"
	if cfg.TracingEndpoint == "" {
		return noop.NewTracerProvider().Tracer(name), func() {}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(cfg.TracingEndpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, nil, fmt.Errorf("tracing to %s: %w", cfg.TracingEndpoint, err)
	}
	// The library has one handler for errors in the background. By default that handler writes to
	// standard error.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are lost", zap.Error(err)) }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(float64(cfg.TracingSamplingRatePerMillion)/config.AllTraces))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "krustlet-wasi"), attribute.String("service.version", programVersion()),
			attribute.String("k8s.node.name", cfg.NodeName), attribute.String("host.name", cfg.Hostname))),
	)
	return provider.Tracer(name), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracingPatience)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			log.Warn("the last traces could not be sent", zap.Error(err))
		}
	}, nil
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
