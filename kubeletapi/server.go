package kubeletapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	// headerTimeout bounds the TLS handshake and the reading of a request's
	// header each. There is none for a whole request: a log may be followed for
	// days.
	headerTimeout = 15 * time.Second
	// idleTimeout is how long a connection may stay open between requests.
	idleTimeout = 2 * time.Minute
	// maxHeader is ample for a client's token and a few options, in bytes.
	maxHeader = 64 << 10
	// pingAfter and pingTimeout find HTTP/2 clients that died without a word;
	// over HTTP/1.1 the keep-alive of TCP does.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
	// shutdownGrace is how long requests get to end after they were told to.
	shutdownGrace = 5 * time.Second
)

// Config is what a server needs. All but Health is required.
type Config struct {
	// GetCertificate returns the serving certificate for a handshake. It is
	// asked each time, so a rotated certificate is used at once.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Auth           Auth
	Pods           Pods
	Logs           Logs
	Stats          Stats
	// Metrics and ProbeMetrics are the pages /metrics and /metrics/probes.
	Metrics      prometheus.Gatherer
	ProbeMetrics prometheus.Gatherer
	// Health returns why the node does not work as it should, nil if it does. It
	// must not block. Without it the node is healthy while it answers.
	Health func() error
	Log    *zap.Logger
}

// Server serves the API. Make one with New.
type Server struct {
	config  Config
	handler http.Handler
	rates   rates
	// errorLog is for what net/http reports of clients, failed handshakes mostly.
	errorLog *log.Logger
}

// New makes a server, which does nothing before Serve.
func New(config Config) (*Server, error) {
	switch {
	case config.GetCertificate == nil:
		return nil, errors.New("kubeletapi: Config.GetCertificate is missing")
	case config.Auth == nil:
		return nil, errors.New("kubeletapi: Config.Auth is missing")
	case config.Pods == nil || config.Logs == nil:
		return nil, errors.New("kubeletapi: Config.Pods or Config.Logs is missing")
	case config.Stats == nil || config.Metrics == nil || config.ProbeMetrics == nil:
		return nil, errors.New("kubeletapi: Config.Stats, Config.Metrics or Config.ProbeMetrics is missing")
	case config.Log == nil:
		return nil, errors.New("kubeletapi: Config.Log is missing")
	}
	errorLog, err := zap.NewStdLogAt(config.Log, zap.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("kubeletapi: %w", err)
	}
	s := &Server{config: config, errorLog: errorLog}
	s.handler = s.logged(s.authenticated(s.mux()))
	return s, nil
}

// Handler is the API without its listener, with authentication and
// authorization.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen opens the TCP port of the API. It is apart from Serve so that a port
// that cannot be had is reported before the node does anything else.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err == nil {
		return listener, nil
	}
	host, port, splitErr := net.SplitHostPort(addr)
	switch {
	case splitErr != nil:
		return nil, fmt.Errorf("cannot listen on %q: %w", addr, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("port %s of address %q is in use: stop the program that listens there or choose another port with --port: %w",
			port, host, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("port %s may not be opened by this user: choose one above 1023 with --port: %w", port, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("address %q does not belong to this machine: choose another with --addr: %w", host, err)
	default:
		return nil, fmt.Errorf("cannot listen on %q: choose another address with --addr and --port: %w", addr, err)
	}
}

// Serve serves HTTPS on listener, which it closes, until ctx ends. Then it tells
// the running requests to end, gives them five seconds, cuts off those that did
// not, and returns nil. It returns an error if the listener fails before.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.handler,
		TLSConfig:         s.tlsConfig(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          s.errorLog,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()
	select {
	case err := <-failed:
		_ = server.Close()
		return fmt.Errorf("serving the kubelet API on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		s.config.Log.Warn("requests did not end in time and were cut off", zap.Duration("after", shutdownGrace))
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		s.config.Log.Warn("the listener had failed before the shutdown", zap.Error(err))
	}
	return nil
}

func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: s.config.GetCertificate,
		// Asked for, not verified here: Auth does that for each request, so that
		// a change of the client authority concerns open connections too, and a
		// client with a token alone is let in.
		ClientAuth: tls.RequestClientCert,
		NextProtos: []string{"h2", "http/1.1"},
	}
}
