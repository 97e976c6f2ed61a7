package door

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// State is what is known about a connection's client.
type State string

// The states of connections.
const (
	StatePending   State = "pending"
	StateStranger  State = "stranger"
	StateToken     State = "token"
	StateCertified State = "certified"
)

// Reason is why the door has ended a connection, or refused it.
type Reason string

// The reasons.
const (
	ReasonAll       Reason = "all"       // there were too many in this state
	ReasonEach      Reason = "each"      // one address or user had too many
	ReasonTime      Reason = "time"      // it did not reach the next state in time
	ReasonHandshake Reason = "handshake" // the handshake failed
)

// Config is what a door needs.
type Config struct {
	Limits Limits
	TLS    *tls.Config
	// Certified returns the name of the user of a certificate. It verifies the certificate itself.
	// It must not block for long.
	Certified func(*tls.ConnectionState) (user string, ok bool)
	// Handshake bounds a handshake. Strange bounds how long a client may stay unknown after its
	// handshake.
	Handshake, Strange time.Duration
	Log                *zap.Logger
}

// Door is a net.Listener. Make one with New.
type Door struct {
	config   Config
	listener net.Listener
	ready    chan net.Conn
	ctx      context.Context //nolint:containedctx // ends with the door
	end      context.CancelFunc
	tasks    sync.WaitGroup

	mu                                    sync.Mutex
	pending, strangers, tokens, certified *room
	ended                                 map[Ended]int
	failed                                error // why it accepts no more connections
}

// Ended is a state and a reason in which the door ended connections.
type Ended struct {
	State  State
	Reason Reason
}

// New opens the door at a listener. The door owns the listener.
func New(listener net.Listener, config Config) (*Door, error) {
	l := config.Limits
	if err := l.check(); err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	d := &Door{
		config: config, listener: listener, ready: make(chan net.Conn), ctx: ctx, end: end,
		pending:   newRoom(StatePending, l.Pending, share(l.Pending, 3, 4)),
		strangers: newRoom(StateStranger, l.Strangers, share(l.Strangers, 1, 4)),
		tokens:    newRoom(StateToken, l.Tokens, share(l.Tokens, 1, 4)),
		certified: newRoom(StateCertified, l.Certified, share(l.Certified, 1, 2)),
		ended:     map[Ended]int{},
	}
	d.tasks.Go(d.accept)
	return d, nil
}

// Accept returns a connection whose handshake has succeeded.
func (d *Door) Accept() (net.Conn, error) {
	select {
	case conn := <-d.ready:
		return conn, nil
	case <-d.ctx.Done():
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.failed != nil {
			return nil, d.failed
		}
		return nil, net.ErrClosed
	}
}

// Addr is the listener's address.
func (d *Door) Addr() net.Addr { return d.listener.Addr() }

// Close ends the door, and waits until it has ended.
func (d *Door) Close() error {
	d.end()
	err := d.listener.Close()
	d.tasks.Wait()
	return err
}

// Counts are the numbers of present connections, and of connections that the door has ended.
func (d *Door) Counts() (now map[State]int, ended map[Ended]int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, ended = map[State]int{}, map[Ended]int{}
	for _, r := range []*room{d.pending, d.strangers, d.tokens, d.certified} {
		now[r.state] = r.count()
	}
	for kind, n := range d.ended {
		ended[kind] = n
	}
	return now, ended
}

// count notes that the door has ended a connection. The caller holds mu.
func (d *Door) count(state State, why Reason) { d.ended[Ended{state, why}]++ }

// accept takes connections until the door ends.
func (d *Door) accept() {
	backoff := acceptBackoff
	for {
		conn, err := d.listener.Accept()
		if err == nil {
			backoff = acceptBackoff
			d.admit(conn)
			continue
		}
		switch {
		case d.ctx.Err() != nil:
			return
		case errors.Is(err, net.ErrClosed), errors.Is(err, syscall.EBADF), errors.Is(err, syscall.EINVAL):
			d.mu.Lock()
			d.failed = err
			d.mu.Unlock()
			d.end()
			return
		case backoff == acceptBackoff: // one line until it works again
			d.config.Log.Warn("cannot accept connections, will try again", zap.Error(err))
		}
		if pause.For(d.ctx, backoff.Step()) != nil {
			return
		}
	}
}

// admit gives a new connection a slot, and starts its handshake.
func (d *Door) admit(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		_ = conn.Close()
		return
	}
	c := &Conn{TCPConn: tcp, door: d, address: addressOf(conn.RemoteAddr()), since: time.Now()}
	for {
		long, done := d.enter(c)
		if done {
			break
		}
		if pause.For(d.ctx, long) != nil {
			c.reset()
			return
		}
	}
	d.tasks.Go(func() { d.shake(c) })
}

// enter gives a new connection a slot among the pending ones. Another connection may have to close
// for it. If the door has not waited long enough for that one, enter returns how long to wait
// before the next attempt.
func (d *Door) enter(c *Conn) (long time.Duration, done bool) {
	d.mu.Lock()
	victim, why := d.pending.victim(c.address)
	for victim != nil && !victim.busy && victim.said() {
		d.pending.turn(victim, true)
		victim, why = d.pending.victim(c.address)
	}
	if victim != nil {
		stay := quietStay
		if victim.busy {
			stay = busyStay
		}
		if long := victim.waits.left(stay); long > 0 {
			d.mu.Unlock()
			return long, false
		}
		d.count(StatePending, why)
		d.pending.leave(victim)
	}
	d.pending.enter(c, c.address, false)
	d.mu.Unlock()
	if victim != nil {
		victim.reset()
	}
	return 0, true
}

// spoke notes that a pending client has sent something.
func (d *Door) spoke(c *Conn) {
	if c.spoken.Swap(true) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.room == d.pending {
		c.room.turn(c, true)
	}
}

// leave gives the slot of a connection back.
func (d *Door) leave(c *Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.room != nil {
		c.room.leave(c)
	}
}

// shake does the handshake, and gives the connection to Accept.
func (d *Door) shake(c *Conn) {
	keep := context.AfterFunc(d.ctx, c.reset)
	defer keep()
	if err := c.SetDeadline(c.since.Add(d.config.Handshake)); err != nil {
		_ = c.Close()
		return
	}
	conn := tls.Server(c, d.config.TLS)
	if err := conn.HandshakeContext(d.ctx); err != nil {
		d.unshaken(c, err)
		return
	}
	_ = c.SetDeadline(time.Time{}) // an error means that the connection has ended, and the next step fails, too
	state := conn.ConnectionState()
	user, certified := d.config.Certified(&state)
	if !d.settle(c, user, certified) {
		_ = conn.Close()
		return
	}
	if !keep() { // the door has ended, and resets the connection
		return
	}
	select {
	case d.ready <- conn:
	case <-d.ctx.Done():
		c.reset()
	}
}

// unshaken ends a connection whose handshake has failed.
func (d *Door) unshaken(c *Conn, err error) {
	d.config.Log.Debug("TLS handshake failed", zap.Stringer("client", c.RemoteAddr()), zap.Error(err))
	d.mu.Lock()
	if c.room != nil { // it did not have to close for another one
		why := ReasonHandshake
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			why = ReasonTime
		}
		d.count(StatePending, why)
	}
	d.mu.Unlock()
	if header := (tls.RecordHeaderError{}); errors.As(err, &header) && header.Conn != nil && plain(header.RecordHeader) {
		_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS.\n")
	}
	_ = c.Close()
}

// plain reports whether a client began with HTTP instead of TLS.
func plain(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// settle gives a connection a slot after its handshake, and reports whether there is one.
func (d *Door) settle(c *Conn, user string, certified bool) bool {
	d.mu.Lock()
	if c.room != d.pending { // it had to close for another one
		d.mu.Unlock()
		return false
	}
	d.pending.leave(c)
	if certified {
		defer d.mu.Unlock()
		if why := d.certified.full(user); why != "" {
			d.count(StateCertified, why)
			return false
		}
		d.certified.enter(c, user, true)
		return true
	}
	victim, why := d.strangers.victim(c.address)
	if victim != nil {
		d.count(StateStranger, why)
		d.strangers.leave(victim)
	}
	d.strangers.enter(c, c.address, false)
	c.timer = time.AfterFunc(d.config.Strange, func() { d.expire(c) })
	d.mu.Unlock()
	if victim != nil {
		victim.reset()
	}
	return true
}

// expire ends a connection that has been a stranger's for too long.
func (d *Door) expire(c *Conn) {
	d.mu.Lock()
	still := c.room == d.strangers
	if still {
		d.count(StateStranger, ReasonTime)
	}
	d.mu.Unlock()
	if still {
		c.reset()
	}
}
