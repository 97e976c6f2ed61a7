package wasi

import (
	"context"
	"net/netip"
	"sync"
)

// maxLookups is how many lookups of a guest are under way. Each has a goroutine.
const maxLookups = 64

// maxAddresses is how many addresses of a name a guest gets.
const maxAddresses = 64

// lookups are those of a guest that are under way.
type lookups struct {
	list map[*Lookup]struct{}
}

// Lookup is a lookup of a name. It is a Signal, which happens when the result is there.
type Lookup struct {
	guest  *Guest
	cancel context.CancelFunc
	ended  chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	done   bool
	found  []netip.Addr
	err    error
	notify func()
}

// LookUp begins to look up a name, or an address as text. The error is ErrAccess if the guest has
// no network, and ErrNoBuffers if too many lookups are under way. Close ends it; so does the end of
// ctx.
func (g *Guest) LookUp(ctx context.Context, name string) (*Lookup, error) {
	switch {
	case g.network == nil:
		return nil, ErrAccess
	case len(g.lookups.list) >= maxLookups:
		return nil, ErrNoBuffers
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &Lookup{guest: g, cancel: cancel, ended: make(chan struct{})}
	if g.lookups.list == nil {
		g.lookups.list = map[*Lookup]struct{}{}
	}
	g.lookups.list[l] = struct{}{}
	go l.run(ctx, g.network, name) // Close waits for it
	return l, nil
}

func (l *Lookup) run(ctx context.Context, n Network, name string) {
	defer close(l.ended)
	found, err := n.Lookup(ctx, name)
	if err == nil && len(found) == 0 {
		err = ErrNotExist
	}
	all := make([]netip.Addr, 0, min(len(found), maxAddresses))
	for _, a := range found[:min(len(found), maxAddresses)] {
		all = append(all, a.Unmap().WithZone(""))
	}
	l.mu.Lock()
	l.done, l.found, l.err = true, all, err
	tell := l.notify
	l.notify = nil
	l.mu.Unlock()
	if tell != nil {
		tell()
	}
}

// Ready implements Signal.
func (l *Lookup) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// Notify implements Signal.
func (l *Lookup) Notify(f func()) {
	l.mu.Lock()
	l.notify = f
	if l.done {
		l.notify = nil
	} else {
		f = nil
	}
	l.mu.Unlock()
	if f != nil {
		f()
	}
}

// Result returns the addresses, in the order in which they are to be tried. The error is one of
// Network.Lookup, or ErrWouldBlock if the result is not there yet.
func (l *Lookup) Result() ([]netip.Addr, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.done {
		return nil, ErrWouldBlock
	}
	return l.found, l.err
}

// Close ends the lookup, and waits for its goroutine.
func (l *Lookup) Close() {
	l.cancel()
	<-l.ended
	delete(l.guest.lookups.list, l)
}

// close ends those that the guest has left.
func (ls *lookups) close() {
	for l := range ls.list {
		l.cancel()
	}
	for l := range ls.list {
		l.Close()
	}
}
