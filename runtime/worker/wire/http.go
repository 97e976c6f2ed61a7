package wire

import (
	"slices"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

func toHTTP(h runtime.HTTP) *workerpb.HTTP {
	return &workerpb.HTTP{
		Listen:           h.Listen,
		ListenTls:        h.ListenTLS,
		Certificate:      []byte(h.Certificate),
		Instances:        int64(h.Instances),
		Requests:         int64(h.Requests),
		Reuse:            int64(h.Reuse),
		Queue:            int64(h.Queue),
		QueueTimeout:     int64(h.QueueTimeout),
		HeaderTimeout:    int64(h.HeaderTimeout),
		IdleTimeout:      int64(h.IdleTimeout),
		FirstByteTimeout: int64(h.FirstByteTimeout),
		Timeout:          int64(h.Timeout),
		StallTimeout:     int64(h.StallTimeout),
		MaxHeader:        h.MaxHeader,
		MaxBody:          h.MaxBody,
		Connections:      int64(h.Connections),
		AccessLog:        h.AccessLog,
		MarkLines:        h.MarkLines,
	}
}

func fromHTTP(h *workerpb.HTTP) runtime.HTTP {
	return runtime.HTTP{
		Listen:           h.GetListen(),
		ListenTLS:        h.GetListenTls(),
		Certificate:      string(h.GetCertificate()),
		Instances:        int(h.GetInstances()),
		Requests:         int(h.GetRequests()),
		Reuse:            int(h.GetReuse()),
		Queue:            int(h.GetQueue()),
		QueueTimeout:     time.Duration(h.GetQueueTimeout()),
		HeaderTimeout:    time.Duration(h.GetHeaderTimeout()),
		IdleTimeout:      time.Duration(h.GetIdleTimeout()),
		FirstByteTimeout: time.Duration(h.GetFirstByteTimeout()),
		Timeout:          time.Duration(h.GetTimeout()),
		StallTimeout:     time.Duration(h.GetStallTimeout()),
		MaxHeader:        h.GetMaxHeader(),
		MaxBody:          h.GetMaxBody(),
		Connections:      int(h.GetConnections()),
		AccessLog:        h.GetAccessLog(),
		MarkLines:        h.GetMarkLines(),
	}
}

// toHTTPStats returns nil for a guest that is no HTTP handler.
func toHTTPStats(s *runtime.HTTPStats) *workerpb.HTTPStats {
	if s == nil {
		return nil
	}
	answers := map[int32]uint64{}
	for code, n := range s.Answers {
		answers[int32(code)] = n //nolint:gosec // a status has three digits
	}
	return &workerpb.HTTPStats{
		Answers:   boundAnswers(answers),
		Aborted:   s.Aborted,
		Durations: s.Durations[:],
		Seconds:   s.Seconds,
		Received:  s.Received,
		Sent:      s.Sent,
		Open:      s.Open,
		Active:    s.Active,
		Queued:    s.Queued,
		Instances: s.Instances,
		Cold:      s.Cold,
		Warm:      s.Warm,
		Traps:     s.Traps,
		Memory:    s.Memory,
		Timeouts:  s.Timeouts,
	}
}

// fromHTTPStats returns nil if the worker says nothing of HTTP. All numbers are within bounds.
func fromHTTPStats(s *workerpb.HTTPStats) *runtime.HTTPStats {
	if s == nil {
		return nil
	}
	of := &runtime.HTTPStats{
		Answers:   map[int]uint64{},
		Aborted:   total(s.GetAborted()),
		Seconds:   seconds(s.GetSeconds()),
		Received:  count(s.GetReceived()),
		Sent:      count(s.GetSent()),
		Open:      count(s.GetOpen()),
		Active:    count(s.GetActive()),
		Queued:    count(s.GetQueued()),
		Instances: count(s.GetInstances()),
		Cold:      total(s.GetCold()),
		Warm:      total(s.GetWarm()),
		Traps:     total(s.GetTraps()),
		Memory:    total(s.GetMemory()),
		Timeouts:  total(s.GetTimeouts()),
	}
	for code, n := range boundAnswers(s.GetAnswers()) {
		of.Answers[int(code)] = total(n)
	}
	for i, n := range s.GetDurations() {
		if i < len(of.Durations) {
			of.Durations[i] = total(n)
		}
	}
	return of
}

// mostCodes is how many status codes of a guest are counted one by one. A guest may answer with any
// code, and all guests of a worker have to fit into one message.
const mostCodes = 64

// boundAnswers returns at most mostCodes status codes, the smallest ones. Code 0 has the rest, and
// those that are no status codes.
func boundAnswers(answers map[int32]uint64) map[int32]uint64 {
	var codes []int32
	rest := uint64(0)
	for code, n := range answers {
		if code >= 100 && code <= 999 {
			codes = append(codes, code)
		} else {
			rest += min(n, MostCount)
		}
	}
	slices.Sort(codes)
	bounded := map[int32]uint64{}
	for i, code := range codes {
		if i < mostCodes {
			bounded[code] = answers[code]
		} else {
			rest += min(answers[code], MostCount)
		}
	}
	if rest > 0 {
		bounded[0] = rest
	}
	return bounded
}

// Bounds of the requests that a worker tells.
const (
	MostSpans     = 1024 // in a message; those beyond are dropped
	longestMethod = 64
	longestPath   = 1 << 10
	longestServer = 64
)

// ToSpans converts requests to a message. It has at most MostSpans of them.
func ToSpans(spans []runtime.HTTPSpan, dropped uint64) *workerpb.SpansResponse {
	out := &workerpb.SpansResponse{Dropped: dropped}
	for i, s := range spans {
		if i == MostSpans {
			out.Dropped += uint64(len(spans) - i)
			break
		}
		m := &workerpb.HTTPSpan{
			Run: s.Run, TraceId: s.Trace[:], SpanId: s.Span[:], Flags: uint32(s.Flags),
			StartedAt: ToTime(s.Start), Duration: int64(s.Duration),
			Method: strings.ToValidUTF8(clip(s.Method, longestMethod), "\uFFFD"), Path: []byte(clip(s.Path, longestPath)),
			Status:  int32(s.Status), //nolint:gosec // a status has three digits
			Aborted: s.Aborted, Server: s.Server,
		}
		if s.Parent != ([8]byte{}) {
			m.ParentId = s.Parent[:]
		}
		out.Spans = append(out.Spans, m)
	}
	return out
}

// FromSpans converts a message to requests, within bounds. Requests without IDs are left out.
func FromSpans(m *workerpb.SpansResponse) (spans []runtime.HTTPSpan, dropped uint64) {
	dropped = total(m.GetDropped())
	for i, s := range m.GetSpans() {
		if i == MostSpans {
			return spans, dropped + uint64(len(m.GetSpans())-i)
		}
		one := runtime.HTTPSpan{
			Run: s.GetRun(), Flags: byte(s.GetFlags()), //nolint:gosec // the rest has no meaning
			Start: FromTime(s.GetStartedAt()), Duration: duration(s.GetDuration()),
			Method: clip(s.GetMethod(), longestMethod), Path: strings.ToValidUTF8(clip(string(s.GetPath()), longestPath), "\uFFFD"),
			Aborted: s.GetAborted(), Server: clip(s.GetServer(), longestServer),
		}
		if n := s.GetStatus(); n >= 100 && n <= 999 {
			one.Status = int(n)
		}
		copy(one.Trace[:], s.GetTraceId())
		copy(one.Parent[:], s.GetParentId())
		copy(one.Span[:], s.GetSpanId())
		if one.Trace != ([16]byte{}) && one.Span != ([8]byte{}) {
			spans = append(spans, one)
		}
	}
	return spans, dropped
}

func total(n uint64) uint64 { return min(n, MostCount) }

// seconds is 0 for what is no number.
func seconds(s float64) float64 {
	if s > 0 && s <= MostCount {
		return s
	}
	return 0
}
