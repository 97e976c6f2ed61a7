package pool

import (
	"maps"
	"sync"
	"time"
)

// account is the use of a worker: its users, the pods that it hosts, and whether it may get more. A
// user is a run (until it is forgotten), a command, or a start that is in progress.
type account struct {
	isolated bool
	errands  *errands

	mu       sync.Mutex
	draining bool       // gets no new runs
	closing  bool       // is being shut down
	cause    *exitError // set after the process has exited
	users    int
	unused   time.Time            // the time since which it has no users
	hosted   map[string]int       // number of running guests, by pod
	lately   map[string]time.Time // when a guest of a pod was about to start, or has ended
}

func newAccount(isolated, draining bool, errands *errands) *account {
	return &account{
		isolated: isolated, draining: draining, errands: errands,
		unused: time.Now(), hosted: map[string]int{}, lately: map[string]time.Time{},
	}
}

// reserve adds a user for a new run, if the worker takes new runs.
func (a *account) reserve() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining || a.closing || a.cause != nil {
		return false
	}
	a.users++
	return true
}

// reserveBeside adds a user for a command, unless the worker is being shut down or has exited. A
// drained worker takes commands beside its remaining runs.
func (a *account) reserveBeside() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing || a.cause != nil {
		return false
	}
	a.users++
	return true
}

// hold adds a user without a guest.
func (a *account) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users++
}

// release removes a user.
func (a *account) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.users--; a.users == 0 {
		a.unused = time.Now()
		a.errands.poke() // maybe the worker can be shut down now
	}
}

// takes reports whether the worker takes new runs.
func (a *account) takes() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.draining && !a.closing && a.cause == nil
}

// began notes that a guest of a pod has started.
func (a *account) began(pod string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hosted[pod]++
}

// ended notes that a guest of a pod has ended.
func (a *account) ended(pod string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hosted[pod]--; a.hosted[pod] == 0 {
		delete(a.hosted, pod)
	}
}

// lately is how long a worker may tell something about a pod after its last guest has ended.
const lately = 10 * time.Second

// touch notes that a guest of a pod is about to start, or has ended. A worker may tell something
// about it before the pool knows that it has started, and after it knows that it has ended.
func (a *account) touch(pod string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.lately, func(_ string, at time.Time) bool { return now.Sub(at) > lately })
	a.lately[pod] = now
}

// hostedLately reports whether the worker has guests of a pod, or had some a moment ago.
func (a *account) hostedLately(pod string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, touched := a.lately[pod]
	return a.hosted[pod] > 0 || touched && now.Sub(at) <= lately
}

// hosts is the number of a pod's running guests.
func (a *account) hosts(pod string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hosted[pod]
}

// guests is the number of running guests.
func (a *account) guests() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	sum := 0
	for _, n := range a.hosted {
		sum += n
	}
	return sum
}

// drain makes the worker take no new runs.
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

// retireAt is the time after which the worker is not needed; it is zero while the worker is needed.
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

// close makes the worker take no new guests, if it is not needed any more. It reports whether this
// is so.
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

// reopen reverts close.
func (a *account) reopen() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closing = false
}

// exited notes that the process has exited. It reports whether this was expected: the pool has shut
// the worker down, or did not need it.
func (a *account) exited(cause *exitError) (expected bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cause = cause
	return a.closing || a.users == 0
}

// exit is the reason why the process has exited; nil while it runs.
func (a *account) exit() *exitError {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}
