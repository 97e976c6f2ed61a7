package informer

import "time"

const (
	// retryBase is the longest wait before the first repetition.
	retryBase = 100 * time.Millisecond
	// retryCap is the longest wait of all. It is short because one node is one
	// client: after an outage of the API, recovery matters more than load.
	retryCap = 5 * time.Second
	// healthyAfter is how long a watch must have lived for earlier failures to
	// be forgotten. It is longer than retryCap so that a watch which always
	// breaks after a moment is not repeated faster than one that cannot start.
	healthyAfter = 10 * time.Second
)

// retry spaces the attempts to list and watch. It counts two kinds of trouble separately: a server
// that cannot be reached, and watches that start and do not last. A server that comes back after a
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
	// orderly: the watch ended as the protocol foresees, so that it may be
	// repeated at once.
	orderly bool
	// moved: the watch brought the store forward before it ended in order. A server in a burst ends
	// the watches that do not keep up with it. The sooner those go on the better.
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

// wait is a random time in the upper half of what n earlier repetitions allow.
func wait(n int, jitter float64) time.Duration {
	longest := retryCap
	if n < 10 { // the cap is reached long before that; the shift must not overflow
		longest = min(retryCap, retryBase<<n)
	}
	return longest/2 + time.Duration(jitter*float64(longest/2))
}
