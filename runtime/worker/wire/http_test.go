package wire

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// TestMessagesOfOlderBuilds: a message without the fields of HTTP is one of a program that is
// no handler.
func TestMessagesOfOlderBuilds(t *testing.T) {
	if spec := FromSpec(&workerpb.Spec{Id: "x"}); cmp.Diff(runtime.HTTP{}, spec.HTTP) != "" || spec.ConfigFolders != nil {
		t.Errorf("a spec: %+v", spec)
	}
	if stats := FromStats(&workerpb.Stats{Id: "x", Cpu: 1}); stats.HTTP != nil {
		t.Errorf("a use: %+v", stats.HTTP)
	}
}

// TestLiesAboutHTTP: what a worker says of its handlers is bounded.
func TestLiesAboutHTTP(t *testing.T) {
	lie := &workerpb.HTTPStats{
		Answers: map[int32]uint64{-1: 5, 0: 7, 1 << 30: 1 << 63, 200: 1 << 63}, Durations: make([]uint64, 100),
		Seconds: math.NaN(), Received: -1, Sent: 1 << 62, Open: -5, Traps: 1 << 63,
	}
	lie.Durations[3] = 1 << 63
	for code := int32(300); code < 900; code++ {
		lie.Answers[code] = 1
	}
	got := fromHTTPStats(lie)
	if len(got.Answers) != mostCodes+1 || got.Answers[200] != MostCount || got.Answers[0] != MostCount || got.Answers[301] != 1 {
		t.Errorf("answers: %d codes, 200: %d, others: %d", len(got.Answers), got.Answers[200], got.Answers[0])
	}
	if got.Seconds != 0 || got.Received != 0 || got.Sent != MostCount || got.Open != 0 || got.Traps != MostCount || got.Durations[3] != MostCount {
		t.Errorf("%+v", got)
	}
	for _, n := range []float64{math.Inf(1), -1, 1e300} {
		if s := seconds(n); s != 0 {
			t.Errorf("%g seconds are %g", n, s)
		}
	}
}

// TestLiesAboutSpans: a worker cannot make its agent keep long texts or many requests.
func TestLiesAboutSpans(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	good := workerpb.HTTPSpan{
		Run: "r", TraceId: []byte(strings.Repeat("t", 100)), SpanId: []byte("s"), Method: long, Path: append([]byte("/\xff"), long...),
		Server: long, Status: -200, Duration: -1, Flags: 1 << 20,
	}
	m := &workerpb.SpansResponse{Dropped: math.MaxUint64, Spans: []*workerpb.HTTPSpan{nil, {Run: "r", SpanId: []byte("s")}, {Run: "r", TraceId: []byte("t")}}}
	for range 2 * MostSpans {
		m.Spans = append(m.Spans, &good)
	}
	spans, dropped := FromSpans(m)
	if len(spans) != MostSpans-3 || dropped != MostCount+MostSpans+3 {
		t.Fatalf("%d requests, %d dropped", len(spans), dropped)
	}
	s := spans[0]
	if len(s.Method) > 64 || len(s.Path) > 1100 || !strings.HasPrefix(s.Path, "/") || strings.Contains(s.Path, "\xff") || len(s.Server) > 64 || s.Status != 0 || s.Duration != 0 {
		t.Errorf("method %d, path %d, server %d bytes, status %d, %v", len(s.Method), len(s.Path), len(s.Server), s.Status, s.Duration)
	}
	if sent := ToSpans(make([]runtime.HTTPSpan, MostSpans+5), 1); len(sent.GetSpans()) != MostSpans || sent.GetDropped() != 6 {
		t.Errorf("%d requests are sent, %d dropped", len(sent.GetSpans()), sent.GetDropped())
	}
}
