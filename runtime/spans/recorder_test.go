package spans

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// taken is what an agent has got.
type taken struct {
	spans   []runtime.HTTPSpan
	dropped uint64
	calls   int
}

func (t *taken) take(spans []runtime.HTTPSpan, dropped uint64) {
	t.spans, t.dropped, t.calls = append(t.spans, spans...), t.dropped+dropped, t.calls+1
}

// TestSpans: the agent gets requests whose callers keep the trace, and the share that it wants of
// those without a trace.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recorder
		if _, kept := r.Begin([]string{parent}); kept {
			t.Error("a request is kept although no agent wants any")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var got taken
		ended := make(chan error, 1)
		go func() { ended <- r.Spans(ctx, 0, got.take) }()
		synctest.Wait()
		span, kept := r.Begin([]string{parent})
		if !kept || span.Parent != ([8]byte{0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31}) || span.Trace[0] != 0x0a || span.Span == span.Parent {
			t.Fatalf("kept %v: %+v", kept, span)
		}
		for _, other := range [][]string{nil, {strings.TrimSuffix(parent, "1") + "0"}, {parent, parent}} {
			if _, kept := r.Begin(other); kept {
				t.Errorf("%q is kept", other)
			}
		}
		time.Sleep(3 * time.Second)
		span.Method, span.Path = strings.Repeat("M", 1000), strings.Repeat("p", 10_000)
		r.Add(span)
		synctest.Wait()
		if len(got.spans) != 1 || got.spans[0].Duration != 3*time.Second || len(got.spans[0].Method) != 64 || len(got.spans[0].Path) != 1024 {
			t.Fatalf("%+v", got)
		}
		for range 2000 {
			r.Add(span)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(got.spans) != 1+1024 || got.dropped != 2000-1024 {
			t.Errorf("%d requests, %d dropped", len(got.spans), got.dropped)
		}
		if _, kept := r.Begin([]string{parent}); kept {
			t.Error("a request is kept after the agent has gone")
		}
		r.Add(span) // it began while the agent was there
	})
}

// TestShare: requests without a trace begin one, as often as the agent wants.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recorder
		share := func(perMillion int) (n int) {
			ctx, cancel := context.WithCancel(t.Context())
			defer synctest.Wait()
			defer cancel()
			go func() { _ = r.Spans(ctx, perMillion, func([]runtime.HTTPSpan, uint64) {}) }()
			synctest.Wait()
			for range 10_000 {
				if span, kept := r.Begin(nil); kept {
					n++
					if span.Flags != 1 || span.Trace == ([16]byte{}) || span.Span == ([8]byte{}) || span.Parent != ([8]byte{}) {
						t.Fatalf("%+v", span)
					}
				}
			}
			return n
		}
		if all, none, half := share(1_000_000), share(0), share(500_000); all != 10_000 || none != 0 || half < 4000 || half > 6000 {
			t.Errorf("%d of all, %d of none, %d of half", all, none, half)
		}
	})
}

// TestNewerAgent: a newer call takes the place of an older. Few calls of take bring many requests.
func TestNewerAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Recorder
		first, ctx := make(chan error, 1), t.Context()
		go func() { first <- r.Spans(ctx, 0, func([]runtime.HTTPSpan, uint64) {}) }()
		synctest.Wait()
		within, cancel := context.WithCancel(ctx)
		var got taken
		second := make(chan error, 1)
		go func() { second <- r.Spans(within, 0, got.take) }()
		if err := <-first; !errors.Is(err, ErrReplaced) {
			t.Errorf("the older call: %v", err)
		}
		synctest.Wait()
		for range 100 {
			span, _ := r.Begin([]string{parent})
			r.Add(span)
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		<-second
		if len(got.spans) != 100 || got.calls > 8 {
			t.Errorf("%d requests in %d calls", len(got.spans), got.calls)
		}
	})
}

func TestParse(t *testing.T) {
	for text, want := range map[string]bool{
		parent: true,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more": true,
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more":  false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more": false,
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":      false,
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01":      false,
		"00-00000000000000000000000000000000-b7ad6b7169203331-01":      false,
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01":      false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x":      false,
		"00-0af7651916cd43dd8448eb211c80319c b7ad6b7169203331-01":      false,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331":         false,
		"": false, "\xff": false, strings.Repeat("-", 1<<20): false,
	} {
		if _, ok := parse([]string{text}); ok != want {
			t.Errorf("%.60q: %v", text, ok)
		}
	}
}
