package kubeletapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/door"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/scrape"
)

// Config is what a server needs. GetCertificate, Auth, Pods, Logs and Log are required.
//
// It has more than 20 fields because the API has a page for each part of the agent, and each part
// is connected by one field.
type Config struct {
	// GetCertificate returns the serving certificate for a handshake. It is
	// asked each time, so a rotated certificate is used at once.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	Auth           access.Auth
	Pods           Pods
	Logs           Logs
	Execs          Execs
	Attaches       Attaches
	Ports          Ports
	Stats          scrape.Stats
	// Metrics and ProbeMetrics are the pages /metrics and /metrics/probes.
	Metrics      prometheus.Gatherer
	ProbeMetrics prometheus.Gatherer
	// StreamIdleTimeout is how long a connection of exec, attach or port-forward may be silent; 0
	// is for ever.
	StreamIdleTimeout time.Duration
	// Health returns why the node does not work as it should, nil if it does. It
	// must not block. Without it the node is healthy while it answers.
	Health func() error
	Log    *zap.Logger

	TLS TLS
	// Configuration is what /configz shows: it can be encoded as JSON and has no secrets.
	Configuration any
	// Profiling serves /debug/pprof/.
	Profiling bool
	// SetLogLevel sets the level of the agent's log by its name; its error is the client's. Nil: it
	// cannot be changed.
	SetLogLevel func(level string) error

	// Connections bound those of the API's port, Readers the logs that are read at one time, and
	// Forwards the connections to ports of pods. Zero values are those of a process with 16,384
	// open files to give.
	Connections door.Limits
	Readers     int
	Forwards    int

	limits limits // zero: defaultLimits
}

// Server serves the API. Make one with New.
type Server struct {
	config  Config
	handler http.Handler
	rates   scrape.Rates
	// errorLog is for what net/http reports of clients, failed handshakes mostly.
	errorLog *log.Logger
	// auditLog has a line for each privileged request, deniedLog for some of those that were
	// denied.
	auditLog, deniedLog *zap.Logger
	requests            calls // all that are under way
	readers, forwards   slots
	// Requests that were refused because the cluster had been asked too often.
	refusedTokens, refusedAccess atomic.Int64
	entrance                     atomic.Pointer[door.Door] // nil before Serve
}

// New makes a server, which does nothing before Serve.
func New(config Config) (*Server, error) {
	switch {
	case config.GetCertificate == nil:
		return nil, errors.New("Config.GetCertificate is missing")
	case config.Auth == nil:
		return nil, errors.New("Config.Auth is missing")
	case config.Pods == nil || config.Logs == nil:
		return nil, errors.New("Config.Pods or Config.Logs is missing")
	case config.Execs == nil || config.Attaches == nil || config.Ports == nil:
		return nil, errors.New("Config.Execs, Config.Attaches or Config.Ports is missing")
	case config.Stats == nil || config.Metrics == nil || config.ProbeMetrics == nil:
		return nil, errors.New("Config.Stats, Config.Metrics or Config.ProbeMetrics is missing")
	case config.Log == nil:
		return nil, errors.New("Config.Log is missing")
	}
	errorLog, err := zap.NewStdLogAt(config.Log, zap.DebugLevel)
	if err != nil {
		return nil, fmt.Errorf("making the kubelet API: %w", err)
	}
	if config.limits == (limits{}) {
		config.limits = defaultLimits
	}
	if config.Connections == (door.Limits{}) {
		config.Connections = door.LimitsFor(defaultFiles)
	}
	s := &Server{config: config, errorLog: errorLog}
	s.readers = newSlots(config.Readers, defaultFiles)
	s.forwards = newSlots(config.Forwards, defaultFiles)
	s.auditLog, s.deniedLog = access.NewAuditLogs(config.Log)
	s.handler = counted(&s.requests, logged(config.Log, limited(config.limits.body, s.authenticated(s.mux()))))
	return s, nil
}

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
		return nil, fmt.Errorf("listening on %q: %w", addr, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listening: port %s of address %q is in use: stop the program that listens there or choose another port with --port: %w",
			port, host, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listening: port %s may not be opened by this user: choose one above 1023 with --port: %w", port, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listening: address %q does not belong to this machine: choose another with --addr: %w", host, err)
	default:
		return nil, fmt.Errorf("listening on %q: choose another address with --addr and --port: %w", addr, err)
	}
}

// Serve serves HTTPS on listener, which it closes, until ctx ends. Requests that are under way then
// go on for a while: followers of logs see what is written meanwhile. Then they are told to end,
// and those that do not are cut off. It returns an error if the listener fails before.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	tlsConfig := s.config.TLS.config(s.config.GetCertificate)
	entrance, err := door.New(listener, door.Config{
		Limits: s.config.Connections, TLS: tlsConfig, Certified: s.certified,
		Handshake: s.config.limits.header, Strange: s.config.limits.strange, Log: s.config.Log.Named("door"),
	})
	if err != nil {
		return err
	}
	defer entrance.Close() //nolint:errcheck // the server has closed it, and was told of errors
	s.entrance.Store(entrance)
	server := &http.Server{
		Handler:   s.handler,
		TLSConfig: tlsConfig,
		// It would answer OPTIONS * by itself, to strangers too.
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            s.config.limits.header,
		IdleTimeout:                  s.config.limits.idle,
		MaxHeaderBytes:               maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams,
			SendPingTimeout:      s.config.limits.pingAfter, PingTimeout: s.config.limits.pingTimeout,
		},
		BaseContext: func(net.Listener) context.Context { return requests },
		ConnContext: withConn,
		ErrorLog:    s.errorLog,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(entrance) }()
	select {
	case err := <-failed:
		_ = server.Close()
		return fmt.Errorf("serving the kubelet API on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.shutDown(context.WithoutCancel(ctx), server, endRequests)
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		s.config.Log.Warn("the listener had failed before the shutdown", zap.Error(err))
	}
	return nil
}

// shutDown ends the server: requests may finish first, then they are told to end by endRequests. It
// returns when they have, or when their time is up.
func (s *Server) shutDown(ctx context.Context, server *http.Server, endRequests func()) {
	finish, cancel := context.WithTimeout(ctx, s.config.limits.finish)
	defer cancel()
	// Followers that are still there are told next, so it is no matter that the time was not
	// enough.
	_ = server.Shutdown(finish)
	endRequests()
	end, cancel := context.WithTimeout(ctx, s.config.limits.end)
	defer cancel()
	err := server.Shutdown(end)
	if err == nil {
		err = s.requests.waitUntil(end) // those whose connections the server does not know any more
	}
	if err != nil {
		s.config.Log.Warn("requests did not end in time and were cut off", zap.Duration("after", s.config.limits.end))
		_ = server.Close()
	}
}
