package pool_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/pool"
)

// tracer is what an agent has got of the requests in workers.
type tracer struct {
	mu    sync.Mutex
	spans []runtime.HTTPSpan
	ended bool
	late  bool // it got something after the call had ended
}

func (r *tracer) take(spans []runtime.HTTPSpan, _ uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spans = append(r.spans, spans...)
	r.late = r.late || r.ended
}

// of returns how many requests of a run there are, and the last one.
func (r *tracer) of(run string) (n int, last runtime.HTTPSpan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.Run == run {
			n, last = n+1, s
		}
	}
	return n, last
}

// trace takes requests until the returned function is called, which returns the error of Spans.
func (r *tracer) trace(t *testing.T, p *pool.Pool) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := p.Spans(ctx, 0, r.take)
		r.mu.Lock()
		r.ended = true
		r.mu.Unlock()
		ended <- err
	}()
	return func() error {
		cancel()
		return <-ended
	}
}

// TestSpans: the agent gets the requests of all workers, also of those that start later or that an
// earlier agent has started. A worker can claim only requests of its own runs.
func TestSpans(t *testing.T) {
	cfg := config(t, t.TempDir())
	p := open(t, cfg)
	handler := spec(t, "r1", "pod1", "answer", "r2")
	handler.HTTP.Instances = 5
	mustStart(t, p, handler, runtime.Streams{})
	if got := p.Stats(t.Context())["r1"].HTTP; got == nil || got.Answers[200] != 7 || got.Instances != 5 {
		t.Errorf("the figures of a handler: %+v", got)
	}
	var got tracer
	stop := got.trace(t, p)
	eventually.True(t, "requests come", func() bool { n, _ := got.of("r1"); return n > 0 })
	if _, s := got.of("r1"); s.Method != http.MethodGet || s.Path != "/a" || s.Status != 200 || s.Server != "127.0.0.1:80" || s.Trace[0] != 0x0a || s.Parent[0] != 0xb7 || s.Flags != 1 {
		t.Errorf("%+v", s)
	}
	later := spec(t, "r2", "pod2", "answer", "r1")
	later.Isolated = true
	mustStart(t, p, later, runtime.Streams{})
	eventually.True(t, "requests of a new worker come", func() bool { n, _ := got.of("r2"); return n > 0 })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	p.Close()

	second := open(t, cfg)
	var adopted tracer
	stop = adopted.trace(t, second)
	eventually.True(t, "requests of an adopted worker come", func() bool { n, _ := adopted.of("r1"); return n > 0 })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, r := range []*tracer{&got, &adopted} {
		if r.mu.Lock(); r.late {
			t.Error("requests came after the end of Spans")
		}
		r.mu.Unlock()
	}
}

// TestClaimedSpans: a worker claims requests of another worker's run.
func TestClaimedSpans(t *testing.T) {
	p := open(t, config(t, t.TempDir()))
	victim := spec(t, "r2", "pod2", "sleep")
	victim.Isolated = true
	mustStart(t, p, victim, runtime.Streams{})
	mustStart(t, p, spec(t, "r1", "pod1", "answer", "r2"), runtime.Streams{})
	var got tracer
	defer got.trace(t, p)()
	eventually.True(t, "requests come", func() bool { n, _ := got.of("r1"); return n > 10 })
	if n, _ := got.of("r2"); n > 0 {
		t.Errorf("%d requests of a run in another worker", n)
	}
}

// TestFloodOfSpans: a worker sends requests without end. The agent takes them at its own pace.
func TestFloodOfSpans(t *testing.T) {
	cfg := config(t, t.TempDir())
	cfg.Argv = []string{"/proc/self/exe", "worker", "--liar"}
	p := open(t, cfg)
	mustStart(t, p, spec(t, "r1", "pod1", "sleep"), runtime.Streams{})
	var got tracer
	began := time.Now()
	stop := got.trace(t, p)
	eventually.True(t, "three messages come", func() bool { n, _ := got.of("r1"); return n >= 1500 })
	_ = stop()
	n, last := got.of("r1")
	if most := 500 * (2 + int(time.Since(began)/(100*time.Millisecond))); n > most || len(last.Path) > 1024 {
		t.Errorf("%d requests, want at most %d; a path of %d bytes", n, most, len(last.Path))
	}
	if n, _ := got.of("r2"); n > 0 {
		t.Errorf("%d requests of a run that it does not have", n)
	}
}
