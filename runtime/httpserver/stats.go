package httpserver

import (
	"sync/atomic"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// classes are the hundreds of status codes.
const classes = 9

// counts are what requests add to, without a lock.
type counts struct {
	answers   [classes]atomic.Pointer[[100]atomic.Uint64] // made when the first code of a hundred comes
	aborted   atomic.Uint64
	durations [len(runtime.HTTPBuckets) + 1]atomic.Uint64
	nanos     atomic.Int64
	received  atomic.Int64
	sent      atomic.Int64
}

// bounds are runtime.HTTPBuckets.
var bounds = func() (b [len(runtime.HTTPBuckets)]time.Duration) {
	for i, seconds := range runtime.HTTPBuckets {
		b[i] = time.Duration(seconds * float64(time.Second))
	}
	return b
}()

func (c *counts) add(r *Record) {
	if r.Aborted {
		c.aborted.Add(1)
	}
	if class := r.Status/100 - 1; r.Status >= 100 && class < classes {
		codes := c.answers[class].Load()
		for codes == nil {
			c.answers[class].CompareAndSwap(nil, new([100]atomic.Uint64))
			codes = c.answers[class].Load()
		}
		codes[r.Status%100].Add(1)
	}
	at := 0
	for at < len(bounds) && r.Duration > bounds[at] {
		at++
	}
	c.durations[at].Add(1)
	c.nanos.Add(int64(r.Duration))
	if r.Received > 0 {
		c.received.Add(r.Received)
	}
	if r.Sent > 0 {
		c.sent.Add(r.Sent)
	}
}

// Stats returns what the server has done. What concerns instances is 0.
func (s *Server) Stats() runtime.HTTPStats {
	c := &s.count
	stats := runtime.HTTPStats{
		Answers:  map[int]uint64{},
		Aborted:  c.aborted.Load(),
		Seconds:  time.Duration(c.nanos.Load()).Seconds(),
		Received: c.received.Load(),
		Sent:     c.sent.Load(),
		Active:   s.active.Load(),
	}
	for class := range c.answers {
		codes := c.answers[class].Load()
		if codes == nil {
			continue
		}
		for i := range codes {
			if n := codes[i].Load(); n > 0 {
				stats.Answers[(class+1)*100+i] = n
			}
		}
	}
	for i := range c.durations {
		stats.Durations[i] = c.durations[i].Load()
	}
	s.mu.Lock()
	stats.Open = int64(s.open)
	s.mu.Unlock()
	return stats
}
