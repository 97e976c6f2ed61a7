package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
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

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// tracingPatience is what the last traces get to be sent when the agent ends.
const tracingPatience = 2 * time.Second

// allTraces is the sampling rate of all traces, per million.
const allTraces = 1_000_000

// newTracer makes what tells the way of pods to an OpenTelemetry collector, if there is to be one. It connects in the
// background; a collector that cannot be reached costs the traces, and nothing else.
func newTracer(ctx context.Context, cfg Config, log *zap.Logger) (tracer trace.Tracer, stop func(), err error) {
	const name = "github.com/krustlet-go/krustlet-wasi"
	if cfg.TracingEndpoint == "" {
		return noop.NewTracerProvider().Tracer(name), func() {}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(cfg.TracingEndpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, nil, fmt.Errorf("tracing to %s: %w", cfg.TracingEndpoint, err)
	}
	// The library has one place for what goes wrong in the background, which is its own, and standard error by default.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces are lost", zap.Error(err)) }))
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter, sdktrace.WithBatchTimeout(time.Second)),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(float64(cfg.TracingSamplingRatePerMillion)/allTraces))),
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

// tracedCompiler tells the tracer how long modules are waited for.
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

func parseEndpoint(value string) (string, error) {
	host, port, err := net.SplitHostPort(value)
	if err == nil && host == "" {
		err = errors.New("no host")
	}
	if err == nil {
		_, err = parseNumber(port, "a port")
	}
	if err != nil {
		return "", fmt.Errorf("%q is not the address of a collector: write its host:port, as in localhost:4317, without http://", value)
	}
	return value, nil
}

func parseSamplingRate(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n > allTraces {
		return 0, fmt.Errorf("%q is not a number of traces: write how many of a million are to be sent, from 0 to %d", value, allTraces)
	}
	return int(n), nil
}
