package httpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Config is what a server needs.
type Config struct {
	// Settings has the time-outs, the bounds and the certificate; what is 0 has its default.
	Settings runtime.HTTP
	// Handler answers. It may panic with http.ErrAbortHandler, which ends the connection of
	// HTTP/1.1 or the stream of HTTP/2.
	Handler http.Handler
	// Record, if it is not nil, is called after each request, on its goroutine.
	Record func(Record)
	// Memory, if it is not nil, is from where connections and requests take what they hold. Without
	// any, a client gets 503, or its connection is reset; one that rests ends to make room.
	Memory Memory
	// Gate, if it is not nil, decides on connections. The others are reset.
	Gate Gate
	// ErrorLog, if it is not nil, is told of clients that break rules. It gets a few lines a
	// minute, and none has a value of a client.
	ErrorLog func(string)
}

// Server is made by New.
type Server struct {
	config   Config
	settings runtime.HTTP
	http     http.Server
	// http2 serves nothing. It makes net/http's HTTP/2, which http then uses. So HTTP/2 can be told
	// to end gracefully (GOAWAY) while HTTP/1.1 goes on: http.Shutdown would drop its next
	// requests.
	http2 http.Server
	tls   *tls.Config
	says  says
	count counts

	end     context.CancelFunc // ends the contexts of all requests
	base    context.Context    //nolint:containedctx // of all requests; ends at Close
	tasks   sync.WaitGroup     // accept loops, handshakes, the drain
	ending  atomic.Bool        // since Drain: answers say close
	full    atomic.Bool        // all connections are taken: answers say close
	closed  atomic.Bool
	active  atomic.Int64  // requests under way
	idle    chan struct{} // told when active gets 0 while Close waits
	freed   chan struct{} // told when a connection has closed
	gone    chan struct{} // the same, for Close
	drained chan struct{}

	mu        sync.Mutex // guards the fields below
	listeners map[*listener]struct{}
	conns     conn // the head of a ring of connections, the oldest first
	open      int
	deadline  time.Time // until when listeners accept, since Drain
	isDrained bool
}

const (
	// streams is how many requests an HTTP/2 connection has at a time.
	streams = 250
	// buffer is how many bytes of bodies an HTTP/2 connection sends ahead.
	buffer = 256 << 10
	// frame is the largest frame of HTTP/2: a connection keeps the memory for one.
	frame = 16 << 10
)

// New makes a server, and reads the certificate if the settings name one.
func New(cfg Config) (*Server, error) {
	if cfg.Handler == nil {
		return nil, errors.New("making an HTTP server: it has no handler")
	}
	s := &Server{
		config: cfg, settings: cfg.Settings.WithDefaults(),
		idle: make(chan struct{}, 1), freed: make(chan struct{}, 1), gone: make(chan struct{}, 1), drained: make(chan struct{}),
	}
	s.says.to = cfg.ErrorLog
	s.conns.prev, s.conns.next = &s.conns, &s.conns
	if len(s.settings.ListenTLS) > 0 && s.settings.Certificate == "" {
		return nil, errors.New("making an HTTP server: it listens for TLS, but has no certificate")
	}
	if s.settings.Certificate != "" {
		pair, err := readPair(s.settings.Certificate, &s.says)
		if err != nil {
			return nil, err
		}
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: pair.get}
	}
	s.base, s.end = context.WithCancel(context.Background())
	s.setUp()
	return s, nil
}

func (s *Server) setUp() {
	logger := log.New(&s.says, "", 0)
	two := new(http.Protocols)
	two.SetHTTP2(true)
	two.SetUnencryptedHTTP2(true)
	s.http2.Protocols, s.http2.IdleTimeout, s.http2.ErrorLog = two, s.settings.IdleTimeout, logger
	_ = s.http2.Serve(none{}) // fills TLSNextProto, and then fails, as there is nothing to accept

	all := new(http.Protocols)
	all.SetHTTP1(true)
	all.SetHTTP2(true)
	all.SetUnencryptedHTTP2(true)
	s.http.Protocols, s.http.TLSNextProto = all, s.http2.TLSNextProto
	s.http.Handler = http.HandlerFunc(s.serve)
	s.http.DisableGeneralOptionsHandler = true
	s.http.ReadHeaderTimeout, s.http.IdleTimeout = s.settings.HeaderTimeout, s.settings.IdleTimeout
	// net/http allows 4096 bytes more than it is told.
	s.http.MaxHeaderBytes = int(max(s.settings.MaxHeader-4096, 1))
	s.http.HTTP2 = &http.HTTP2Config{
		MaxConcurrentStreams: streams, MaxReadFrameSize: frame,
		MaxReceiveBufferPerConnection: buffer, MaxReceiveBufferPerStream: buffer,
	}
	s.http.ErrorLog = logger
	s.http.ConnState = stateOf
	s.http.BaseContext = func(net.Listener) context.Context { return s.base }
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, under(c))
	}
}

// none is a listener of nothing.
type none struct{}

func (none) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (none) Close() error              { return nil }
func (none) Addr() net.Addr            { return &net.TCPAddr{} }

// Close ends everything, and waits for it.
func (s *Server) Close() {
	s.closed.Store(true)
	s.ending.Store(true)
	s.end()
	s.mu.Lock()
	for l := range s.listeners {
		_ = l.Listener.Close() // an error means that it is closed
	}
	s.mu.Unlock()
	_ = s.http.Close()                         // the error is of listeners, which are closed
	_ = s.http2.Shutdown(context.Background()) // has no connections of its own, so it does not wait
	for s.cutAll() > 0 {
		<-s.gone
	}
	for s.active.Load() > 0 {
		<-s.idle
	}
	s.tasks.Wait()
	s.settle()
}
