package client

import (
	"context"
	"crypto/tls"
	"errors"
	nethttp "net/http"
	"sync"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Config is what a Client needs.
type Config struct {
	// Network decides where the guest may connect to. It is not nil.
	Network wasi.Network
	// Roots are files with certificates of authorities in PEM, which the guest trusts in addition
	// to those of the node. They are read once.
	Roots []string
	// MaxRequests bounds the requests under way; 0 means DefaultMaxRequests.
	MaxRequests int
	// Stock is the stock of requests that the guest shares with others; nil means no bound.
	Stock *Stock
	// Files is the stock of open files, likewise.
	Files *wasi.Files
	// Memory counts what the guest pays for; nil means that nothing counts it.
	Memory Memory
}

// Memory counts bytes of the host that a guest pays for.
type Memory interface {
	// Take reports whether there are n bytes for the guest, which then has them until Give.
	Take(n int) bool
	Give(n int)
}

const (
	// DefaultMaxRequests is how many requests of a run are under way without another bound. A
	// handler has up to 1024 requests that it answers; few of them wait for others.
	DefaultMaxRequests = 256
	// MaxHeader is how many bytes the head of a response has. Servers send up to 16 KiB.
	MaxHeader = 64 << 10
	// RequestMemory is what counts for each request: its head, that of the response, goroutines.
	RequestMemory = 64 << 10
	// ConnectionMemory is what counts for each connection: buffers, and the state of TLS.
	ConnectionMemory = 64 << 10

	maxIdle        = 16
	maxIdlePerHost = 8
	idleTime       = 30 * time.Second
	// continueTime is how long a body waits for the server's word, if the guest asks for that
	// (expect: 100-continue).
	continueTime = time.Second
	frameSize    = 16 << 10
	streamWindow = 128 << 10
	connWindow   = 1 << 20
	// pingAfter is when a connection of HTTP/2 that says nothing is asked whether it is there.
	pingAfter, pingTime = 30 * time.Second, 15 * time.Second
)

// Client sends the requests of one run.
type Client struct {
	cfg       Config
	transport *nethttp.Transport
	traffic   traffic
	ctx       context.Context //nolint:containedctx // it ends at Close, when all that goes on has to end
	cancel    context.CancelFunc

	mu          sync.Mutex
	requests    int // under way
	connections int // open, and those that are made
	conns       map[*conn]struct{}
	answered    map[*flight]struct{} // requests whose response is read
	closed      bool
	running     sync.WaitGroup // requests and dials; it is added to under mu, and not after closed
}

var errClosed = errors.New("the guest has ended")

// New makes a Client. It reads the files of Config.Roots.
func New(cfg Config) (*Client, error) {
	if cfg.MaxRequests <= 0 {
		cfg.MaxRequests = DefaultMaxRequests
	}
	pool, err := roots(cfg.Roots)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, conns: map[*conn]struct{}{}, answered: map[*flight]struct{}{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.transport = &nethttp.Transport{
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    DefaultTimeout, // of the request, if it is not gone
		DisableCompression:     true,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: MaxHeader,
		ExpectContinueTimeout:  continueTime,
		ForceAttemptHTTP2:      true,
		HTTP2: &nethttp.HTTP2Config{
			MaxReadFrameSize:              frameSize,
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: connWindow,
			SendPingTimeout:               pingAfter,
			PingTimeout:                   pingTime,
		},
	}
	return c, nil
}

// MaxRequests is how many requests may be under way.
func (c *Client) MaxRequests() int { return c.cfg.MaxRequests }

// Memory counts what the guest pays for. It may be nil.
func (c *Client) Memory() Memory { return c.cfg.Memory }

// Close ends all requests and closes all connections, and waits for them. Bodies that are still
// open have no more bytes.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	answered := c.answered
	c.answered = nil
	all := make([]*conn, 0, len(c.conns))
	for k := range c.conns {
		all = append(all, k)
	}
	c.mu.Unlock()
	c.cancel()
	for _, k := range all {
		_ = k.Close()
	}
	c.transport.CloseIdleConnections()
	for f := range answered {
		f.end()
	}
	c.running.Wait()
}

// begin begins something that Close waits for.
func (c *Client) begin() (done func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, false
	}
	c.running.Add(1)
	return c.running.Done, true
}

// admit takes the room of a request. The function gives it back.
func (c *Client) admit() (release func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, &Error{Code: ConnectionTerminated, Err: errClosed}
	case c.requests >= c.cfg.MaxRequests, !c.cfg.Stock.take(c.requests):
		return nil, &Error{Code: ConnectionLimitReached}
	case !c.takeMemory(RequestMemory):
		c.cfg.Stock.give()
		return nil, &Error{Code: ConnectionLimitReached}
	}
	c.requests++
	c.running.Add(1)
	return sync.OnceFunc(func() {
		c.mu.Lock()
		c.requests--
		c.mu.Unlock()
		c.giveMemory(RequestMemory)
		c.cfg.Stock.give()
		c.running.Done()
	}), nil
}

func (c *Client) takeMemory(n int) bool { return c.cfg.Memory == nil || c.cfg.Memory.Take(n) }

func (c *Client) giveMemory(n int) {
	if c.cfg.Memory != nil {
		c.cfg.Memory.Give(n)
	}
}
