package door

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection below TLS. It has a slot of the door while it is open.
type Conn struct {
	*net.TCPConn
	door    *Door
	address string // the client's address, while the connection is pending or a stranger's
	since   time.Time
	spoken  atomic.Bool
	waits   waiting // how long it waited for the client

	closed sync.Once
	failed error // the error of Close

	// The door's lock guards all fields below.
	room    *room // nil once it is closed
	key     string
	busy    bool
	element *list.Element
	timer   *time.Timer // it closes the connection while that is a stranger's
	refused bool
}

// Under is the door's part of a connection that Accept has returned; nil for other connections.
func Under(conn net.Conn) *Conn {
	encrypted, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	c, _ := encrypted.NetConn().(*Conn)
	return c
}

// Read notes that a pending client speaks.
func (c *Conn) Read(p []byte) (int, error) {
	c.waits.begin()
	n, err := c.TCPConn.Read(p)
	c.waits.end()
	if n > 0 {
		c.door.spoke(c)
	}
	return n, err
}

// waiting is how long a connection has waited for its client in total. The time that the machine
// needs to compute its part of a handshake does not count. A client that sends a byte now and then
// does not start the time again.
type waiting struct {
	mu    sync.Mutex
	since time.Time // when the present wait began; zero if the connection does not wait
	past  time.Duration
}

func (w *waiting) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
}

func (w *waiting) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.past += time.Since(w.since)
	w.since = time.Time{}
}

// left is how much of a stay is left. If the connection waits now and the stay has passed, it is 0
// or less.
func (w *waiting) left(stay time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return max(lookAgain, stay-w.past)
	}
	return stay - w.past - time.Since(w.since)
}

// Close gives the slot back.
func (c *Conn) Close() error {
	c.closed.Do(func() {
		c.door.leave(c)
		c.failed = c.TCPConn.Close()
	})
	return c.failed
}

// reset closes the connection, and the kernel keeps nothing of it.
func (c *Conn) reset() {
	_ = c.SetLinger(0) // an error means that the connection has ended
	_ = c.Close()
}

// said reports whether the client has sent something that was not read yet.
func (c *Conn) said() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	said := false
	_ = raw.Control(func(fd uintptr) { // an error means that the connection is closed
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		said = err == nil && n > 0
	})
	return said
}

// Asks notes that a request is under way. Strangers' connections without a request must close
// before those with one.
func (c *Conn) Asks() {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if c.room == c.door.strangers {
		c.room.turn(c, true)
	}
}

// Known notes the user of the connection. It reports whether there is a slot for the user's
// connection. If there is none, the caller must close the connection.
func (c *Conn) Known(user string) bool {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if c.room != c.door.strangers {
		return true
	}
	if why := c.door.tokens.full(user); why != "" {
		c.door.count(StateToken, why)
		return false
	}
	c.timer.Stop()
	c.room.leave(c)
	c.door.tokens.enter(c, user, true)
	return true
}

// farewell is how long a refused stranger may read the answer before the connection closes.
const farewell = 2 * time.Second

// Refused notes that the sender of a request is not known. The connection closes after a moment, so
// that the client can read the answer, even if it has begun other requests.
func (c *Conn) Refused() {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if c.room == c.door.strangers && !c.refused && c.timer.Stop() {
		c.refused = true
		c.timer.Reset(farewell)
	}
}

// addressOf is the address that counts for a connection: an address of IPv4, or a /64 of IPv6,
// because one client has a whole /64.
func addressOf(remote net.Addr) string {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return remote.String()
	}
	return Address(at.Addr())
}

// Address is what counts as one address: the address itself for IPv4, or its /64 for IPv6, because
// a machine has a whole /64.
func Address(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	network, err := a.Prefix(64)
	if err != nil {
		return a.String()
	}
	return network.String()
}
