package runtime

import (
	"context"
	"time"
)

// HTTPSpan is a request that an HTTP handler has answered, and that belongs to a trace. The IDs are
// those of W3C Trace Context.
type HTTPSpan struct {
	Run      string // Spec.ID of the handler
	Trace    [16]byte
	Parent   [8]byte // span of the caller; zero if the request begins the trace
	Span     [8]byte
	Flags    byte // 1 means that the trace is kept
	Start    time.Time
	Duration time.Duration
	Method   string
	Path     string // without a query
	Status   int    // 0 if there was no answer
	Aborted  bool   // the answer could not be completed
	Server   string // host:port at which the request came in
}

// HTTPTracer is an Engine that can tell which requests its HTTP handlers have answered.
type HTTPTracer interface {
	// Spans calls take with requests that handlers have answered since Spans was called, until ctx
	// ends. It returns an error then, or earlier if a newer call has taken its place. A request is
	// told if its caller keeps the trace. If its caller has no trace, perMillion of a million
	// requests are told. dropped is how many more there were since the last call of take, which the
	// engine had to drop. take is called by one goroutine at a time, and not after Spans has
	// returned. It owns the slice.
	Spans(ctx context.Context, perMillion int, take func(spans []HTTPSpan, dropped uint64)) error
}
