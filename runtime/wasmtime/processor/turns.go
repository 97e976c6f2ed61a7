package processor

import (
	"context"
	goruntime "runtime"
	"slices"
	"sync"
	"time"
)

// Turns shares the processors among the guests that compute without a pause. As many of them run at
// a time as there are processors, in turn, for a quantum each; the others wait. So the kernel's own
// queues stay short even with hundreds of guests that spin: a guest that wakes, the agent's
// goroutines, and a guest that is being killed get a processor at once. Guests that wait for
// something now and then never come here.
type Turns struct {
	slots    int
	runnable func(thread int) bool // whether a thread runs or could

	mu      sync.Mutex
	holders []*turn
	queue   []*turn // first come, first served
}

// NewTurns makes Turns for the processors that this process may use.
func NewTurns() *Turns { return &Turns{slots: goruntime.GOMAXPROCS(0), runnable: runnable} }

// turn is one guest's part in it. It is used by the guest's thread.
type turn struct {
	thread int           // its guest's, in the kernel
	since  time.Time     // when it became a holder, or was last seen as one
	mine   chan struct{} // closed when it becomes one
	cpu    time.Duration // what its thread had used when it was last seen
	left   time.Duration // of processor time, that it may still use
}

// quantum is the processor time that a turn is worth. By the wall clock a turn may be longer, where
// other processes compete.
const quantum = Epoch

// maxTurn is the time after which expire looks whether a holder that has not come back waits for
// something.
const maxTurn = Epoch

// next ends t's turn, if it has had one, and waits for the next. cpu is what the guest's thread has
// used in all. It returns early when ctx ends.
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

// leave takes t out.
func (ts *Turns) leave(t *turn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.drop(t)
	if i := slices.Index(ts.queue, t); i >= 0 {
		ts.queue = slices.Delete(ts.queue, i, i+1)
	}
	ts.admit()
}

// Expire ends the turns of guests that have not come back because they wait for something. A guest
// that has not come back because the kernel gives its processor to other processes keeps its turn.
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

// admit lets those at the head of the queue run while there is a free slot.
func (ts *Turns) admit() {
	for len(ts.queue) > 0 && len(ts.holders) < ts.slots {
		t := ts.queue[0]
		ts.queue = slices.Delete(ts.queue, 0, 1)
		ts.holders = append(ts.holders, t)
		t.since = time.Now()
		close(t.mine)
	}
}
