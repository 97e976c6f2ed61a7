package pool

import (
	"sync"
	"time"
)

// account is how a worker is used: how many users it has, which pods it hosts, and whether it may
// get more. A user is a run, even one that has ended but is not forgotten, a command, or a start
// under way.
type account struct {
	isolated bool
	errands  *errands

	mu       sync.Mutex
	draining bool       // gets no new runs
	closing  bool       // is being shut down
	cause    *exitError // set when the process has exited
	users    int
	unused   time.Time      // since when it has no users
	hosted   map[string]int // guests that run, by pod
}

func newAccount(isolated, draining bool, errands *errands) *account {
	return &account{
		isolated: isolated, draining: draining, errands: errands,
		unused: time.Now(), hosted: map[string]int{},
	}
}

// reserve adds a user that brings a new run, if the worker takes any.
func (a *account) reserve() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining || a.closing || a.cause != nil {
		return false
	}
	a.users++
	return true
}

// reserveBeside adds a user that brings a command, unless the worker is being shut down or has
// exited. A worker that is drained takes commands beside the runs that it still has.
func (a *account) reserveBeside() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing || a.cause != nil {
		return false
	}
	a.users++
	return true
}

// hold adds a user that brings no guest.
func (a *account) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users++
}

// release takes a user away.
func (a *account) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users--; a.users == 0 {
		a.unused = time.Now()
		a.errands.poke() // it may be time to shut the worker down
	}
}

// takes reports whether the worker takes new runs.
func (a *account) takes() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.draining && !a.closing && a.cause == nil
}

// began notes that a guest of a pod runs.
func (a *account) began(pod string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hosted[pod]++
}

// ended notes that a guest of a pod does not run any more.
func (a *account) ended(pod string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hosted[pod]--; a.hosted[pod] == 0 {
		delete(a.hosted, pod)
	}
}

// hosts is how many guests of a pod run.
func (a *account) hosts(pod string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hosted[pod]
}

// guests is how many guests run.
func (a *account) guests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := 0
	for _, n := range a.hosted {
		sum += n
	}
	return sum
}

// drain keeps new runs away from the worker.
func (a *account) drain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.draining = true
}

// use is the number of users, and whether the worker is drained.
func (a *account) use() (users int, draining bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.users, a.draining
}

// retirement is how long an isolated worker waits for its pod's next container.
const retirement = 2 * time.Second

// retireAt is when the worker is of no more use; the zero time while it is of use.
func (a *account) retireAt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.users > 0 || a.closing:
		return time.Time{}
	case a.draining:
		return a.unused
	case a.isolated:
		return a.unused.Add(retirement)
	}
	return time.Time{}
}

// close keeps new guests away from a worker that is of no more use. It reports whether the worker
// is.
func (a *account) close() bool {
	at := a.retireAt()
	a.mu.Lock()
	defer a.mu.Unlock()
	if at.IsZero() || time.Now().Before(at) || a.users > 0 || a.errands.pending() {
		return false
	}
	a.closing = true
	return true
}

// reopen takes close back.
func (a *account) reopen() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closing = false
}

// exited notes that the process has exited. It reports whether that was expected: the pool had shut
// the worker down, or did not need it.
func (a *account) exited(cause *exitError) (expected bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cause = cause
	return a.closing || a.users == 0
}

// exit is why the process has exited; nil while it runs.
func (a *account) exit() *exitError {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}
