package wasmtime

import (
	"fmt"
	"net/http"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/spans"
)

// traceparent is the field by which a span is passed on.
const traceparent = "Traceparent"

// traced has requests answered by h. Those that belong to a trace that is kept are told to the
// engine's Recorder. The guest then finds its own span in the request, as the parent of what it
// does.
func (c *componentHandler) traced(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		span, kept := c.engine.Begin(r.Header.Values(traceparent))
		if !kept {
			h.ServeHTTP(w, r)
			return
		}
		r.Header.Set(traceparent, spans.Format(span))
		span.Run, span.Method, span.Path = c.spec.ID, r.Method, r.URL.EscapedPath()
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(fmt.Stringer); ok {
			span.Server = local.String()
		}
		c.trace(h, w, r, span)
	})
}

// trace answers a request whose span is kept.
func (c *componentHandler) trace(h http.Handler, w http.ResponseWriter, r *http.Request, span runtime.HTTPSpan) {
	s := &statusWriter{ResponseWriter: w}
	span.Aborted = true
	defer func() { // also if it panics, to cut the answer off
		span.Status = s.status
		c.engine.Add(span)
	}()
	h.ServeHTTP(s, r)
	span.Aborted = false
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	if status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
