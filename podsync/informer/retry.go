package informer

import "time"

const (
	// retryBase is the longest wait before the first retry.
	retryBase = 100 * time.Millisecond
	// retryCap is the longest wait before any retry. It is short because each node is only one
	// client: after an outage of the API, fast recovery matters more than load.
	retryCap = 5 * time.Second
	// healthyAfter is how long a watch must live before earlier failures are forgotten. It is
	// longer than retryCap. Otherwise a watch that always breaks after a moment would be repeated
	// faster than a watch that cannot start.
	healthyAfter = 10 * time.Second
)

// retry spaces the attempts to list and watch. It counts two kinds of failures separately: a server
// that cannot be reached, and watches that start but end soon. A server that comes back after a
// long outage often declares the old watch invalid at once. Then the informer lists without another
// long pause.
type retry struct {
	unreached int // attempts since the server last answered
	short     int // watches since one was healthy
}

// outcome is the result of an attempt.
type outcome struct {
	// reached: the server started the watch, or answered that it cannot go on.
	reached bool
	// orderly: the watch ended as the protocol says, so it may be repeated immediately.
	orderly bool
	// moved: the watch brought new versions before it ended in an orderly way. During a burst of
	// events a server ends watches that are too slow. Such a watch must be resumed soon.
	moved bool
	// lived is how long the watch lived.
	lived time.Duration
}

// next returns how long to pause after an attempt. Jitter is a random number in
// [0,1).
func (r *retry) next(o outcome, jitter float64) time.Duration {
	if !o.reached {
		r.unreached++
		return wait(r.unreached-1, jitter)
	}
	r.unreached = 0
	if o.lived >= healthyAfter || o.moved {
		r.short = 0
	}
	r.short++
	switch {
	case !o.orderly:
		return wait(r.short-1, jitter)
	case r.short == 1:
		return 0
	default:
		return wait(r.short-2, jitter)
	}
}

// wait is a random time. The longest possible wait doubles with each earlier retry. The result is
// at least half of it.
func wait(n int, jitter float64) time.Duration {
	longest := retryCap
	if n < 10 { // the cap is reached long before 10; the shift must not overflow
		longest = min(retryCap, retryBase<<n)
	}
	return longest/2 + time.Duration(jitter*float64(longest/2))
}
