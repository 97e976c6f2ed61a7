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
	address string // whose it is while it is pending or a stranger's
	since   time.Time
	spoken  atomic.Bool
	waits   waiting // for the client

	closed sync.Once
	failed error // of Close

	// The door's lock guards all below.
	room    *room // nil once it is closed
	key     string
	busy    bool
	element *list.Element
	timer   *time.Timer // closes it while it is a stranger's
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

// waiting is how long a connection has waited for its client, all in all: neither what the machine
// takes to compute its part of a handshake nor a byte now and then make a difference.
type waiting struct {
	mu    sync.Mutex
	since time.Time // of the wait that goes on
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

// left is the rest of a stay. It is 0 when the stay has passed and the connection still waits.
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

// reset closes the connection so that the kernel keeps nothing of it.
func (c *Conn) reset() {
	_ = c.SetLinger(0) // it fails where the connection has ended
	_ = c.Close()
}

// said reports whether something has come that was not read yet.
func (c *Conn) said() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	said := false
	_ = raw.Control(func(fd uintptr) { // it fails where the connection is closed
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		said = err == nil && n > 0
	})
	return said
}

// Asks notes that a request is under way. Connections of strangers without a request have to close
// first.
func (c *Conn) Asks() {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if c.room == c.door.strangers {
		c.room.turn(c, true)
	}
}

// Known notes whose connection it is. It reports whether there is a slot for it; if not, the caller
// must close the connection.
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

// farewell is how long a stranger who was sent away has to read why.
const farewell = 2 * time.Second

// Refused notes that the sender of a request is not known. It has a moment to read the answer,
// whatever else it has begun.
func (c *Conn) Refused() {
	c.door.mu.Lock()
	defer c.door.mu.Unlock()
	if c.room == c.door.strangers && !c.refused && c.timer.Stop() {
		c.refused = true
		c.timer.Reset(farewell)
	}
}

// address is whose connections from there are: an address, or a /64 of IPv6, which is what one
// client has.
func addressOf(remote net.Addr) string {
	at, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return remote.String()
	}
	return Address(at.Addr())
}

// Address is who an address stands for: itself, or the /64 that a machine with an address of IPv6
// has as a whole.
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
