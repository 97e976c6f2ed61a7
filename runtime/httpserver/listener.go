package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"time"
)

const (
	// quiet is how long no connection must come until a listener closes after Drain.
	quiet = 250 * time.Millisecond
	// longest is how long a listener accepts after Drain, whatever comes.
	longest = 5 * time.Second
	// rest is how long a connection is idle before it may be closed, at Drain or for another one.
	rest = time.Second
	// look is how often resting connections are looked for.
	look = 100 * time.Millisecond
)

// errDrained is the end of a listener after Drain.
var errDrained = errors.New("the server accepts no more connections")

// listener accepts within the bound of connections.
type listener struct {
	net.Listener
	server *Server
}

// Serve accepts connections without TLS.
func (s *Server) Serve(l net.Listener) {
	s.listen(l, func(own *listener) { _ = s.http.Serve(own) }) // it ends with its listener
}

// ServeTLS accepts connections with TLS. The settings must have a certificate.
func (s *Server) ServeTLS(l net.Listener) {
	if s.tls == nil {
		panic("httpserver: ServeTLS without a certificate")
	}
	s.listen(l, s.acceptTLS)
}

// listen runs a loop that accepts.
func (s *Server) listen(l net.Listener, loop func(*listener)) {
	own := &listener{Listener: l, server: s}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending.Load() {
		_ = l.Close() // nothing was accepted
		return
	}
	if s.listeners == nil {
		s.listeners = map[*listener]struct{}{}
	}
	s.listeners[own] = struct{}{}
	s.tasks.Go(func() {
		loop(own)
		_ = l.Close() // it may be closed already
		s.mu.Lock()
		delete(s.listeners, own)
		s.mu.Unlock()
		s.settle()
	})
}

// Accept waits for a connection, and before that for room.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.next()
	if err != nil {
		return nil, err
	}
	c.awaits()
	return newGuarded(c, nil), nil
}

func (l *listener) next() (*conn, error) {
	for pause := time.Duration(0); ; {
		if err := l.server.room(); err != nil {
			return nil, err
		}
		if err := l.untilQuiet(); err != nil {
			return nil, err
		}
		c, err := l.Listener.Accept()
		switch {
		case err == nil && !l.server.admits(c):
		case err == nil:
			own := l.server.add(c)
			if l.server.pay(own) {
				return own, nil
			}
			own.reset()
			own.cut()
			l.server.remove(own)
		case l.server.closed.Load():
			return nil, net.ErrClosed
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !l.server.ending.Load() {
				continue
			}
			if c, err = l.last(); err != nil {
				return nil, errDrained
			}
			if l.server.admits(c) {
				return l.server.add(c), nil
			}
		case errors.Is(err, net.ErrClosed):
			return nil, err
		default: // the system lacks something, such as open files, or a client has gone
			l.server.says.say(sayAccept)
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			if l.server.wait(pause); l.server.closed.Load() {
				return nil, net.ErrClosed
			}
		}
	}
}

// deadliner is what listeners of sockets have.
type deadliner interface{ SetDeadline(time.Time) error }

// untilQuiet bounds the next Accept after Drain.
func (l *listener) untilQuiet() error {
	if !l.server.ending.Load() {
		return nil
	}
	l.server.mu.Lock()
	end := l.server.deadline
	l.server.mu.Unlock()
	d, ok := l.Listener.(deadliner)
	switch now := time.Now(); {
	case !ok || now.After(end.Add(time.Second)):
		return errDrained
	case now.After(end): // only what waits
		return d.SetDeadline(now.Add(time.Millisecond))
	default:
		return d.SetDeadline(earlier(now.Add(quiet), end))
	}
}

// last takes a connection that waits, after a deadline has passed.
func (l *listener) last() (net.Conn, error) {
	if d, ok := l.Listener.(deadliner); !ok || d.SetDeadline(time.Now().Add(time.Millisecond)) != nil {
		return nil, errDrained
	}
	return l.Listener.Accept()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// room waits until there may be one more connection. If there is none, the connection that has
// rested for the longest time makes room; if none rests, the kernel keeps the next ones in their
// order.
func (s *Server) room() error {
	for {
		s.mu.Lock()
		has, end := s.open < s.settings.Connections, s.deadline
		s.mu.Unlock()
		switch {
		case s.closed.Load():
			return net.ErrClosed
		case has:
			return nil
		case !end.IsZero() && time.Now().After(end):
			return errDrained
		}
		s.endOne(time.Now().Add(-rest))
		s.wait(look)
	}
}

// wait waits for a time, or until a connection has closed, or the server.
func (s *Server) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.freed:
	case <-s.base.Done():
	}
}

// acceptTLS gives each connection a goroutine for its handshake, which then gives it to net/http.
func (s *Server) acceptTLS(l *listener) {
	for {
		c, err := l.next()
		if err != nil {
			return
		}
		s.tasks.Go(func() { s.handshake(c) })
	}
}

func (s *Server) handshake(c *conn) {
	if !c.take(encryptedCost) {
		c.cut()
		s.remove(c)
		return
	}
	encrypted := tls.Server(c, s.tls)
	ctx, cancel := context.WithTimeout(s.base, s.settings.HeaderTimeout)
	err := encrypted.HandshakeContext(ctx)
	cancel()
	if err != nil {
		s.says.say(sayHandshake)
		_ = encrypted.Close() // it has failed
		s.remove(c)
		return
	}
	c.awaits()
	one := &single{conn: encrypted}
	if encrypted.ConnectionState().NegotiatedProtocol == "h2" {
		c.two.Store(true)
		if !c.take(twoCost) {
			_ = encrypted.Close() // the client has no request yet
			s.remove(c)
			return
		}
	} else {
		one.conn = &guardedTLS{newGuarded(c, encrypted)}
	}
	if _ = s.http.Serve(one); one.conn != nil { // the server has closed
		_ = encrypted.Close()
		s.remove(c)
	}
}

// single is a listener with one connection, which http.Server needs to serve that.
type single struct {
	none
	conn net.Conn
}

func (s *single) Accept() (net.Conn, error) {
	c := s.conn
	if c == nil {
		return nil, net.ErrClosed
	}
	s.conn = nil
	return c, nil
}
