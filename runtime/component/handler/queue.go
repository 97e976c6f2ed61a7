package handler

import (
	"context"
	"errors"
	"slices"
	"time"
)

// waiter is a request that waits for an instance.
type waiter struct {
	got chan grant // gets one
}

// grant is what a waiter gets: a place in an instance, an error, or else it may make an instance,
// which is counted in making.
type grant struct {
	m   *member
	err error
}

// acquire gets an instance for one more request of it. If it makes one, the goroutine stays in it.
func (p *Pool) acquire(ctx context.Context, on *presence) (*member, error) {
	p.mu.Lock()
	m, may := p.choose()
	if m != nil || p.closed {
		p.mu.Unlock()
		return p.warm(m)
	}
	if may {
		p.making++
	}
	p.mu.Unlock()
	if !may {
		return p.wait(ctx, nil, on)
	}
	m, err := p.add(1, on)
	if isBusy(err) {
		return p.wait(ctx, err, on)
	}
	return m, err
}

func isBusy(err error) bool {
	var busy *BusyError
	return errors.As(err, &busy)
}

// warm returns a member that was there, or the error of a closed pool.
func (p *Pool) warm(m *member) (*member, error) {
	if m == nil {
		return nil, errClosed
	}
	p.counts.warm.Add(1)
	return m, nil
}

// choose takes a place in an instance, or else says whether another one may be made. The mutex is
// held.
func (p *Pool) choose() (m *member, may bool) {
	if p.closed {
		return nil, false
	}
	if m = p.takeFree(); m != nil {
		return m, false
	}
	all := len(p.members) + p.making
	if all < min(p.spread, p.settings.Instances) {
		return nil, true
	}
	if m = p.place(); m != nil {
		return m, false
	}
	return nil, all < p.settings.Instances
}

// takeFree takes the instance that was used last of those that answer nothing, or returns nil. The
// mutex is held.
func (p *Pool) takeFree() *member {
	n := len(p.free)
	if n == 0 {
		return nil
	}
	m := p.free[n-1]
	p.free = p.free[:n-1]
	m.enter()
	return m
}

// place takes a place in an instance that answers requests, or returns nil. The mutex is held.
func (p *Pool) place() (m *member) {
	if p.settings.Requests == 1 {
		return nil
	}
	for other := range p.members {
		if other.hasPlace() && (m == nil || other.under < m.under) {
			m = other
		}
	}
	if m != nil {
		m.enter()
	}
	return m
}

// wait has the request wait for an instance. busy is why none could be made for it, or nil.
func (p *Pool) wait(ctx context.Context, busy error, on *presence) (*member, error) {
	timer := time.NewTimer(p.settings.QueueTimeout)
	defer timer.Stop()
	for {
		w, m, err := p.queue(busy)
		if w == nil {
			return m, err
		}
		got, err := p.waitFor(ctx, w, timer.C)
		switch {
		case err != nil:
			return nil, err
		case got.m != nil:
			return p.warm(got.m)
		}
		if m, err = p.add(1, on); !isBusy(err) {
			return m, err
		}
		busy = err
	}
}

// queue makes the request wait, unless there is an instance for it or no hope of one.
func (p *Pool) queue(busy error) (w *waiter, m *member, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if busy != nil { // another one would fail now
		if m = p.takeFree(); m == nil {
			m = p.place()
		}
		if m != nil {
			p.counts.warm.Add(1)
			return nil, m, nil
		}
	}
	switch {
	case p.closed:
		return nil, nil, errClosed
	case busy != nil && len(p.members)+p.making == 0:
		return nil, nil, busy
	case len(p.waiting) >= p.settings.Queue:
		return nil, nil, errQueueFull
	}
	w = &waiter{got: make(chan grant, 1)}
	p.waiting = append(p.waiting, w)
	if busy == nil {
		p.serveWaiting()
	}
	return w, nil, nil
}

// waitFor waits for what a waiter gets.
func (p *Pool) waitFor(ctx context.Context, w *waiter, late <-chan time.Time) (got grant, err error) {
	select {
	case got = <-w.got:
		return got, got.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-late:
		err = errWaited
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, w); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return grant{}, err
	}
	got = <-w.got // it came at the same time
	return got, got.err
}

// serveWaiting gives those that wait what there is. One of them at most may make an instance: when
// that was possible, or another one has ended, it is called again. The mutex is held.
func (p *Pool) serveWaiting() {
	if p.closed {
		p.endWaiting(errClosed)
	}
	for len(p.waiting) > 0 {
		m, may := p.choose()
		if m == nil && !may {
			return
		}
		w := p.waiting[0]
		p.waiting = p.waiting[1:]
		w.got <- grant{m: m}
		if may {
			p.making++
			return
		}
	}
}

// endWaiting ends all waiting with an error. The mutex is held.
func (p *Pool) endWaiting(err error) {
	for _, w := range p.waiting {
		w.got <- grant{err: err}
	}
	p.waiting = nil
}
