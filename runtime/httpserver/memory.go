package httpserver

import (
	"errors"
	"net/http"
	"time"
)

// Memory counts bytes of this program that a guest pays for.
type Memory interface {
	// Take reports whether there are n bytes, which are then taken until Give.
	Take(n int) bool
	Give(n int)
}

// What clients make net/http hold, in bytes, as measured: 4096 of them would have 3 GB otherwise
// that nothing counts.
const (
	// connCost is for a connection that rests, and encryptedCost what TLS adds.
	connCost, encryptedCost = 8 << 10, 24 << 10
	// twoCost is what HTTP/2 adds: its tables, a frame each way, and a head that comes.
	twoCost = 56 << 10
	// smallHead is a head that connCost covers.
	smallHead = 4 << 10
	// headCost is how often the bytes of a head are held while it comes, and fieldCost when it is
	// there: by net/http, and by the handler.
	headCost, fieldCost = 4, 2
	// fewRequests are covered by their connections. Each one beyond has requestCost.
	fewRequests, requestCost = 256, 8 << 10
	// headStep is the step in which a head takes memory.
	headStep = 16 << 10
)

// errMemory is the end of a connection for which there is no memory.
var errMemory = errors.New("there is no memory for a connection")

// taken is what a connection holds of the guest's memory. The conn's lock guards it.
type taken struct {
	all     int
	given   bool // the connection has ended
	head    int
	uploads int // bytes of HTTP/2 bodies that may come before they are read
}

// take takes memory for as long as the connection is there.
func (c *conn) take(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.change(n)
}

// change takes or gives memory. The lock is held.
func (c *conn) change(n int) bool {
	m := c.server.config.Memory
	switch {
	case m == nil || n == 0 || c.taken.given:
		return true
	case n > 0 && !m.Take(n):
		c.server.says.say(sayMemory)
		return false
	case n < 0:
		m.Give(-n)
	}
	c.taken.all += n
	return true
}

// giveAll gives back what the connection holds, as it has ended.
func (c *conn) giveAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.change(-c.taken.all) // it cannot fail
	c.taken.given = true
}

// comes has the memory follow a head that comes, of which there are so many bytes.
func (c *conn) comes(head int) bool {
	want := 0
	if head > smallHead {
		want = (head*headCost + headStep - 1) / headStep * headStep
	}
	if want == c.taken.head { // only the reading goroutine changes it
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.change(want - c.taken.head) {
		return false
	}
	c.taken.head = want
	return true
}

// upload takes memory for a body of HTTP/2, of which a buffer may come before it is read; a
// negative number gives it back. All bodies of a connection share the buffer.
func (c *conn) upload(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, after := min(c.taken.uploads, buffer), min(c.taken.uploads+n, buffer)
	if !c.change(after - before) {
		return false
	}
	c.taken.uploads += n
	return true
}

// uploadOf is how much of a request's body may come before it is read.
func uploadOf(r *http.Request) int {
	if r.ContentLength < 0 {
		return buffer
	}
	return int(min(r.ContentLength, buffer))
}

// charge takes memory for a request, which free gives back. It reports whether there is some.
func (x *exchange) charge(active int64) bool {
	m := x.server.config.Memory
	if m == nil {
		return true
	}
	if head := headSize(x.request); head > smallHead {
		x.cost += head * fieldCost
	}
	if active > fewRequests {
		x.cost += requestCost
	}
	if x.cost > 0 && !m.Take(x.cost) {
		x.cost = 0
		x.server.says.say(sayMemory)
		return false
	}
	if x.two && x.conn != nil && x.request.Body != nil {
		if n := uploadOf(x.request); x.conn.upload(n) {
			x.upload = n
		} else {
			return false
		}
	}
	return true
}

// free gives back what charge has taken.
func (x *exchange) free() {
	if x.cost > 0 {
		x.server.config.Memory.Give(x.cost)
	}
	if x.upload > 0 {
		_ = x.conn.upload(-x.upload) // it cannot fail
	}
}

// headSize is about how many bytes a request's head has in memory.
func headSize(r *http.Request) int {
	const each = 64 // of the lists and the map
	size := len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			size += len(name) + len(v) + each
		}
	}
	return size
}

// pay takes the memory for a new connection. If there is none, one that rests makes room.
func (s *Server) pay(c *conn) bool {
	const patience = time.Second
	for begin := time.Now(); !c.take(connCost); s.wait(look) {
		s.endOne(time.Now().Add(-rest))
		if time.Since(begin) >= patience || s.closed.Load() {
			return false
		}
	}
	return true
}
