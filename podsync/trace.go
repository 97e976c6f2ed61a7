package podsync

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	corev1 "k8s.io/api/core/v1"
)

// traceStart begins the span of a pod's start. While this agent runs, it is the parent of all spans
// of the pod.
func (w *podLoop) traceStart(ctx context.Context) (context.Context, trace.Span) {
	pod := w.state.Object()
	return w.node.Tracer.Start(ctx, "pod.start", trace.WithAttributes(
		attribute.String("k8s.namespace.name", pod.Namespace), attribute.String("k8s.pod.name", pod.Name),
		attribute.String("k8s.pod.uid", string(pod.UID)), attribute.String("k8s.node.name", w.node.NodeName)))
}

// trace begins the span of one step. c is the container of the step, or nil for a step of the pod.
func (w *podActions) trace(ctx context.Context, step string, c *corev1.Container) (context.Context, trace.Span) {
	ctx, span := w.node.Tracer.Start(ctx, step)
	if c != nil && span.IsRecording() {
		span.SetAttributes(attribute.String("k8s.container.name", c.Name), attribute.String("container.image.name", c.Image))
	}
	return ctx, span
}

// endTrace ends the span of a step.
func endTrace(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
