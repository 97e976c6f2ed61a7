package life

import "time"

// progress is where a thing stands that is done once.
type progress int

const (
	pending progress = iota
	underWay
	complete
)

// Task is a thing to be done once, and again after a while if it fails. The zero value is still to
// be done.
type Task struct {
	progress  progress
	failures  int
	notBefore time.Time
	again     bool  // what made it fail may have changed since it began
	err       error // of the last try
}

// Delays between tries of a pod's own tasks, as a kubelet spaces mounts.
const (
	taskRetryFirst = 500 * time.Millisecond
	taskRetryMax   = 2*time.Minute + 2*time.Second
)

// End takes in how a try ended, and when the next may begin.
func (t *Task) End(err error, now time.Time) {
	t.err = err
	if err == nil {
		t.progress = complete
		return
	}
	t.progress = pending
	t.notBefore = now.Add(min(taskRetryMax, taskRetryFirst<<min(t.failures, 16)))
	t.failures++
	if t.again {
		t.hasten()
	}
}

// IsComplete reports whether nothing is left to be done.
func (t *Task) IsComplete() bool { return t.progress == complete }

// RetryAt is when the task may be tried again after it failed.
func (t *Task) RetryAt() time.Time { return t.notBefore }

// hasten lets a task that failed, or is about to, be tried again at once.
func (t *Task) hasten() {
	t.again = t.progress == underWay
	t.failures, t.notBefore = 0, time.Time{}
}
