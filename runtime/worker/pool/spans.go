package pool

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// errSpansTaken is the error of Spans if a newer call has taken its place.
var errSpansTaken = errors.New("another call takes the requests")

// Spans implements runtime.HTTPTracer, for all workers that the pool has or gets. A worker is
// believed of its own runs only, and gives at most 1,024 requests in 100 ms. While it must wait, it
// keeps 1,024 more and drops others.
func (p *Pool) Spans(ctx context.Context, perMillion int, take func(spans []runtime.HTTPSpan, dropped uint64)) error {
	own := &spanTaker{perMillion: perMillion, take: take, replaced: make(chan struct{})}
	p.spans.set(own)
	defer p.spans.unset(own)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-own.replaced:
		return errSpansTaken
	}
}

// spanTaker is one call of Pool.Spans.
type spanTaker struct {
	perMillion int
	replaced   chan struct{} // closed when there is a newer call

	mu    sync.Mutex // held during take
	ended bool
	take  func(spans []runtime.HTTPSpan, dropped uint64)
}

func (t *spanTaker) give(spans []runtime.HTTPSpan, dropped uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended && (len(spans) > 0 || dropped > 0) {
		t.take(spans, dropped)
	}
}

func (t *spanTaker) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
}

// spanFeed is where workers' requests go: to the latest call of Pool.Spans, or nowhere.
type spanFeed struct {
	mu      sync.Mutex
	to      *spanTaker
	changed chan struct{} // closed at the next change
}

func newSpanFeed() *spanFeed { return &spanFeed{changed: make(chan struct{})} }

func (f *spanFeed) set(to *spanTaker) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.to != nil {
		close(f.to.replaced)
	}
	f.change(to)
}

// unset ends a call. When it returns, the call's take does not run, and will not run again.
func (f *spanFeed) unset(t *spanTaker) {
	f.mu.Lock()
	if f.to == t {
		f.change(nil)
	}
	f.mu.Unlock()
	t.end()
}

func (f *spanFeed) change(to *spanTaker) {
	f.to = to
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *spanFeed) current() (to *spanTaker, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.to, f.changed
}

// spansApart is the time between two messages that the agent reads from a worker.
const spansApart = 100 * time.Millisecond

// feedSpans gives the requests of a worker to the feed, until ctx ends.
func (w *worker) feedSpans(ctx context.Context) {
	for {
		to, changed := w.pool.spans.current()
		if to == nil {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		if w.link.await(ctx, func(watch uint64) bool { return watch != 0 }) != nil {
			return
		}
		err := w.feedOnce(ctx, to, changed)
		switch {
		case ctx.Err() != nil:
			return
		case status.Code(err) == codes.Unimplemented:
			w.log.Debug("a worker has no requests for traces", zap.Error(err))
			return
		case err != nil:
			w.log.Debug("a worker does not tell requests for traces", zap.Error(err))
		}
		if pause.For(ctx, callPause) != nil {
			return
		}
	}
}

// feedOnce gives requests to a taker until the call breaks or the taker is not the feed's any more.
func (w *worker) feedOnce(ctx context.Context, to *spanTaker, changed <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	defer cancel()
	watch.Go(func() {
		select {
		case <-changed:
			cancel()
		case <-ctx.Done():
		}
	})
	stream, err := w.client.Spans(ctx, &workerpb.SpansRequest{PerMillion: int64(to.perMillion)})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		to.give(w.own(wire.FromSpans(m)))
		if err := pause.For(ctx, spansApart); err != nil {
			return err
		}
	}
}

// own leaves the requests of the worker's own runs.
func (w *worker) own(spans []runtime.HTTPSpan, dropped uint64) ([]runtime.HTTPSpan, uint64) {
	var own []runtime.HTTPSpan
	for _, s := range spans {
		if g := w.pool.runs.get(s.Run); g != nil && g.worker == w {
			own = append(own, s)
		}
	}
	return own, dropped
}
