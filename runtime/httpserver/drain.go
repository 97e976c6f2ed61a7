package httpserver

import (
	"context"
	"net"
	"time"
)

// add makes a connection one of the server's.
func (s *Server) add(c net.Conn) *conn {
	own := &conn{Conn: c, server: s}
	s.mu.Lock()
	own.prev, own.next = s.conns.prev, &s.conns
	own.prev.next, own.next.prev = own, own
	s.open++
	s.full.Store(s.open >= s.settings.Connections)
	s.mu.Unlock()
	own.watch()
	return own
}

// remove forgets a connection that has closed.
func (s *Server) remove(c *conn) {
	c.giveAll() // first, as Close returns when no connection is open
	s.mu.Lock()
	if c.next != nil {
		c.prev.next, c.next.prev = c.next, c.prev
		c.prev, c.next = nil, nil
		s.open--
		s.full.Store(s.open >= s.settings.Connections)
	}
	s.mu.Unlock()
	if c.unwatch != nil {
		c.unwatch()
	}
	tell(s.freed)
	tell(s.gone)
	s.settle()
}

// tell wakes who waits at the channel, or the next who does.
func tell(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// eachConn calls f for all connections, and returns how many there are.
func (s *Server) eachConn(f func(*conn)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := s.conns.next; c != &s.conns; c = c.next {
		f(c)
	}
	return s.open
}

// cutAll closes all connections at once, and returns how many the server still has to do with.
// Those of which net/http only sleeps are removed.
func (s *Server) cutAll() (left int) {
	var halved []*conn
	left = s.eachConn(func(c *conn) {
		c.cut()
		if c.halved.Load() {
			halved = append(halved, c)
		}
	}) - len(halved)
	for _, c := range halved {
		s.remove(c)
	}
	return left
}

// endOne ends the connection that has rested for the longest time, if that began before the time.
func (s *Server) endOne(before time.Time) {
	var oldest *conn
	s.eachConn(func(c *conn) {
		if since, ok := c.restsSince(); ok && !since.After(before) {
			oldest, before = c, since
		}
	})
	if oldest != nil {
		oldest.endIfRests(before)
	}
}

// Drain ends the server without an end of requests; see the package. It does not wait.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending.Swap(true) {
		return
	}
	now := time.Now()
	s.deadline = now.Add(longest)
	for l := range s.listeners {
		if d, ok := l.Listener.(deadliner); !ok || d.SetDeadline(now.Add(quiet)) != nil {
			_ = l.Listener.Close() // the loop sees it
		}
	}
	s.tasks.Go(func() { s.drain(now) })
}

// Drained is closed when no request is under way any more after Drain: all listeners and
// connections are closed.
func (s *Server) Drained() <-chan struct{} { return s.drained }

// drain ends the connections that rest, until there are none.
func (s *Server) drain(begin time.Time) {
	s.settle()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		// It has no connections of its own, so it does not wait. It tells each connection of HTTP/2
		// once; some come after Drain.
		_ = s.http2.Shutdown(context.Background())
		select {
		case <-ticker.C:
		case <-s.drained:
			return
		case <-s.base.Done():
			return
		}
		now := time.Now()
		if now.Sub(begin) < rest {
			continue
		}
		s.eachConn(func(c *conn) {
			if !c.two.Load() { // HTTP/2 had its GOAWAY
				c.endIfRests(now.Add(-rest))
			}
		})
	}
}

// settle closes drained if there is nothing left.
func (s *Server) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending.Load() && !s.isDrained && s.open == 0 && len(s.listeners) == 0 {
		s.isDrained = true
		close(s.drained)
	}
}
