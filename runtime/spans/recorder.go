package spans

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

const (
	mostKept      = 1024
	longestMethod = 64
	longestPath   = 1 << 10
	apart         = 200 * time.Millisecond // between two calls of take
)

// ErrReplaced is the error of Spans if a newer call has taken its place.
var ErrReplaced = errors.New("another call takes the requests")

// Recorder keeps requests for the agent. The zero value is ready.
type Recorder struct {
	reader atomic.Pointer[reader] // nil while no agent takes requests
}

// reader is one call of Spans.
type reader struct {
	perMillion int
	wake       chan struct{} // has a token when there is a request or a drop
	replaced   chan struct{} // closed when there is a newer call

	mu      sync.Mutex
	kept    []runtime.HTTPSpan
	dropped uint64
}

// Begin reports whether a request that begins now is kept, and returns its span with IDs, flags and
// start. traceparents are the values of the request's header of this name.
func (r *Recorder) Begin(traceparents []string) (span runtime.HTTPSpan, kept bool) {
	to := r.reader.Load()
	if to == nil {
		return runtime.HTTPSpan{}, false
	}
	span, traced := parse(traceparents)
	switch {
	case traced && span.Flags&sampled == 0:
		return runtime.HTTPSpan{}, false
	case !traced && rand.IntN(1_000_000) >= to.perMillion: //nolint:gosec // it need not be secret
		return runtime.HTTPSpan{}, false
	case !traced:
		span.Flags = sampled
		fill(span.Trace[:8])
		fill(span.Trace[8:])
	}
	fill(span.Span[:])
	span.Start = time.Now()
	return span, true
}

// fill fills 8 bytes of an ID. They are not all zero.
func fill(id []byte) { binary.BigEndian.PutUint64(id, rand.Uint64()|1) } //nolint:gosec // it need not be secret

// Add keeps a request that Begin has returned and that has ended. It sets the duration.
func (r *Recorder) Add(span runtime.HTTPSpan) {
	to := r.reader.Load()
	if to == nil {
		return
	}
	span.Duration = time.Since(span.Start)
	span.Method, span.Path = shorten(span.Method, longestMethod), shorten(span.Path, longestPath)
	to.mu.Lock()
	if len(to.kept) < mostKept {
		to.kept = append(to.kept, span)
	} else {
		to.dropped++
	}
	to.mu.Unlock()
	select {
	case to.wake <- struct{}{}:
	default:
	}
}

// shorten shortens a text. The result does not keep the whole text in memory.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.Clone(text[:most])
}

// Spans implements runtime.HTTPTracer. When ctx ends, it calls take with what is left.
func (r *Recorder) Spans(ctx context.Context, perMillion int, take func(spans []runtime.HTTPSpan, dropped uint64)) error {
	own := &reader{perMillion: perMillion, wake: make(chan struct{}, 1), replaced: make(chan struct{})}
	if before := r.reader.Swap(own); before != nil {
		close(before.replaced)
	}
	defer r.reader.CompareAndSwap(own, nil)
	for {
		select {
		case <-own.wake:
		case <-own.replaced:
			return ErrReplaced
		case <-ctx.Done():
		}
		if spans, dropped := own.take(); len(spans) > 0 || dropped > 0 {
			take(spans, dropped)
		}
		if err := pause.For(ctx, apart); err != nil {
			if spans, dropped := own.take(); len(spans) > 0 || dropped > 0 {
				take(spans, dropped)
			}
			return err
		}
	}
}

func (r *reader) take() (spans []runtime.HTTPSpan, dropped uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	spans, dropped = r.kept, r.dropped
	r.kept, r.dropped = nil, 0
	return spans, dropped
}
