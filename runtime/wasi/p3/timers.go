package p3

import (
	"container/heap"
	"time"
)

// timers have things done in the component's turn at their times, in the order of these.
type timers struct {
	host  *Host
	queue queue
	// alarm posts that the first time has come. It is nil before the first timer.
	alarm *time.Timer
}

// timer is a thing that is done at a time.
type timer struct {
	of    *timers
	at    time.Time
	do    func()
	index int // in the queue, -1 if it is not there
}

// after has f done in the turn after d.
func (ts *timers) after(d time.Duration, f func()) *timer {
	t := &timer{of: ts, at: time.Now().Add(d), do: f}
	heap.Push(&ts.queue, t)
	if t.index == 0 {
		ts.set()
	}
	return t
}

// set sets the alarm for the first timer.
func (ts *timers) set() {
	d := time.Until(ts.queue[0].at)
	if ts.alarm != nil {
		ts.alarm.Reset(d)
		return
	}
	x := ts.host.x
	ts.alarm = time.AfterFunc(d, func() { x.Post(ts.ring) })
}

// ring does what is due.
func (ts *timers) ring() {
	now := time.Now()
	for len(ts.queue) > 0 && !ts.queue[0].at.After(now) {
		heap.Pop(&ts.queue).(*timer).do()
	}
	if len(ts.queue) > 0 {
		ts.set()
	}
}

// stop has nothing done, and reports whether it would have been.
func (t *timer) stop() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.of.queue, t.index)
	return true
}

func (ts *timers) close() {
	ts.queue = nil
	if ts.alarm != nil {
		ts.alarm.Stop()
	}
}

// queue is a heap of timers, the earliest first.
type queue []*timer

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	t := x.(*timer)
	t.index = len(*q)
	*q = append(*q, t)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last], *q = nil, (*q)[:last]
	t.index = -1
	return t
}
