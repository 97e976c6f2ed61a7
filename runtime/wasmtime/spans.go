package wasmtime

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"sync"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/httpserver"
)

// maxSpans is how many requests are kept until they are taken.
const maxSpans = 4096

// spans keeps requests that belong to traces while there is one who takes them.
type spans struct {
	mu      sync.Mutex
	taker   *taker // nil if there is none
	kept    []runtime.HTTPSpan
	dropped uint64
}

// taker is a call of Spans.
type taker struct {
	perMillion int
	more       chan struct{} // holds one
	replaced   chan struct{} // closed when another call has taken its place
}

var errReplaced = errors.New("another caller takes the requests")

// Spans implements runtime.HTTPTracer.
func (e *Engine) Spans(ctx context.Context, perMillion int, take func(spans []runtime.HTTPSpan, dropped uint64)) error {
	t := &taker{perMillion: perMillion, more: make(chan struct{}, 1), replaced: make(chan struct{})}
	s := &e.spans
	s.mu.Lock()
	if s.taker != nil {
		close(s.taker.replaced)
	}
	s.taker, s.kept, s.dropped = t, nil, 0
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.taker == t {
			s.taker, s.kept = nil, nil
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.replaced:
			return errReplaced
		case <-t.more:
		}
		s.mu.Lock()
		if s.taker != t {
			s.mu.Unlock()
			return errReplaced
		}
		kept, dropped := s.kept, s.dropped
		s.kept, s.dropped = nil, 0
		s.mu.Unlock()
		if len(kept) > 0 || dropped > 0 {
			take(kept, dropped)
		}
	}
}

// add keeps a request if it belongs to a trace that is kept.
func (s *spans) add(run, server string, r *httpserver.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.taker
	if t == nil || r.Parent.Valid && r.Parent.Flags&1 == 0 || !r.Parent.Valid && mathrand.IntN(1_000_000) >= t.perMillion {
		return
	}
	if len(s.kept) == maxSpans {
		s.dropped++
		return
	}
	span := runtime.HTTPSpan{
		Run: run, Trace: r.Parent.Trace, Parent: r.Parent.Span, Flags: r.Parent.Flags, Start: r.Start, Duration: r.Duration,
		Method: r.Method, Path: r.Path, Status: r.Status, Aborted: r.Aborted, Server: server,
	}
	if !r.Parent.Valid {
		_, _ = rand.Read(span.Trace[:]) // it never fails
		span.Flags = 1
	}
	binary.NativeEndian.PutUint64(span.Span[:], mathrand.Uint64()|1)
	s.kept = append(s.kept, span)
	select {
	case t.more <- struct{}{}:
	default:
	}
}
