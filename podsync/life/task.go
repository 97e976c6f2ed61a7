package life

import "time"

// progress is the state of a task.
type progress int

const (
	pending progress = iota
	underWay
	complete
)

// Task is something that must succeed once. If it fails, it is tried again after a delay. The zero
// value is a task without a try.
type Task struct {
	progress  progress
	failures  int
	notBefore time.Time
	again     bool  // the cause of its failure may have changed since it began
	err       error // of the last try
}

// Delays between tries of a pod's own tasks, as a kubelet has them for mounts.
const (
	taskRetryFirst = 500 * time.Millisecond
	taskRetryMax   = 2*time.Minute + 2*time.Second
)

// End notes the result of a try, and sets when the next try may begin.
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

// IsComplete reports whether the task has succeeded.
func (t *Task) IsComplete() bool { return t.progress == complete }

// RetryAt is when a failed task may be tried again.
func (t *Task) RetryAt() time.Time { return t.notBefore }

// hasten allows the next try at once, if the last try failed or the present one fails.
func (t *Task) hasten() {
	t.again = t.progress == underWay
	t.failures, t.notBefore = 0, time.Time{}
}
