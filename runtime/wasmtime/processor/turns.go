package processor

import (
	"context"
	goruntime "runtime"
	"slices"
	"sync"
	"time"
)

// Turns shares the processors among the guests that compute without a pause. The number of them
// that run at a time is the number of processors; each runs for a quantum in turn, and the others
// wait. So the kernel's own queues stay short even with hundreds of guests that spin. A guest that
// wakes up, the agent's goroutines, and a guest that is being killed get a processor at once.
// Guests that sometimes wait for something never need a turn.
type Turns struct {
	slots    int
	runnable func(thread int) bool // whether a thread runs or could run

	mu      sync.Mutex
	holders []*turn
	queue   []*turn // in the order of arrival
}

// NewTurns makes Turns for the processors that this process may use.
func NewTurns() *Turns { return &Turns{slots: goruntime.GOMAXPROCS(0), runnable: runnable} }

// turn is the state of one guest. The guest's thread uses it.
type turn struct {
	thread int           // the number of its guest's thread in the kernel
	since  time.Time     // when it became a holder, or was last known to run
	mine   chan struct{} // closed when it becomes a holder
	cpu    time.Duration // the thread's total when it was last known
	left   time.Duration // processor time that it may still use
}

// quantum is the processor time of a turn. In elapsed time a turn may be longer, if other processes
// compete.
const quantum = Epoch

// maxTurn is the time after which Expire checks whether a holder that has not returned waits for
// something.
const maxTurn = Epoch

// next ends t's turn, if it has one, and waits for the next. cpu is the total that the guest's
// thread has used. It returns early when ctx ends.
func (ts *Turns) next(ctx context.Context, t *turn, cpu time.Duration) {
	ts.mu.Lock()
	t.left -= cpu - t.cpu
	t.cpu = cpu
	if slices.Contains(ts.holders, t) {
		if t.left > quantum/4 {
			t.since = time.Now()
			ts.mu.Unlock()
			return
		}
		ts.drop(t)
	}
	t.left = min(max(t.left, -quantum)+quantum, 2*quantum)
	mine := make(chan struct{})
	t.mine = mine
	ts.queue = append(ts.queue, t)
	ts.admit()
	ts.mu.Unlock()
	select {
	case <-mine:
	case <-ctx.Done():
		ts.leave(t)
	}
}

// leave removes t.
func (ts *Turns) leave(t *turn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.drop(t)
	if i := slices.Index(ts.queue, t); i >= 0 {
		ts.queue = slices.Delete(ts.queue, i, i+1)
	}
	ts.admit()
}

// Expire ends the turns of guests that have not returned because they wait for something. A guest
// that has not returned because the kernel gives its processor to other processes keeps its turn.
func (ts *Turns) Expire(now time.Time) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.holders = slices.DeleteFunc(ts.holders, func(t *turn) bool {
		return now.Sub(t.since) > maxTurn && !ts.runnable(t.thread)
	})
	ts.admit()
}

func (ts *Turns) drop(t *turn) {
	if i := slices.Index(ts.holders, t); i >= 0 {
		ts.holders = slices.Delete(ts.holders, i, i+1)
	}
}

// admit starts turns from the head of the queue while there are free slots.
func (ts *Turns) admit() {
	for len(ts.queue) > 0 && len(ts.holders) < ts.slots {
		t := ts.queue[0]
		ts.queue = slices.Delete(ts.queue, 0, 1)
		ts.holders = append(ts.holders, t)
		t.since = time.Now()
		close(t.mine)
	}
}
