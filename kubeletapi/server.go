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

// Config is what a server needs. The fields before StreamIdleTimeout are required, and so is Log.
//
// It has more than 20 fields because the API has a page for each part of the agent, and each part
// is connected by one field.
type Config struct {
	// GetCertificate returns the serving certificate. It is called for each handshake, so a rotated
	// certificate is used immediately.
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
	// StreamIdleTimeout is how long a connection of exec, attach or port-forward may be silent. 0
	// means no limit.
	StreamIdleTimeout time.Duration
	// Health returns why the node does not work, or nil if it works. It must not block. If Health
	// is nil, the node is healthy as long as it answers.
	Health func() error
	Log    *zap.Logger

	TLS TLS
	// Configuration is what /configz shows. It must be encodable as JSON, and must have no secrets.
	Configuration any
	// Profiling switches /debug/pprof/ on.
	Profiling bool
	// SetLogLevel sets the level of the agent's log by its name. Its error goes to the client. If
	// it is nil, clients cannot change the level.
	SetLogLevel func(level string) error

	// Connections bounds the connections of the API's port. Readers bounds the logs that are read
	// at one time. Forwards bounds the connections to ports of pods. The defaults are for a process
	// that may open 16,384 files.
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
	// errorLog gets the errors of clients that net/http reports. Most are failed handshakes.
	errorLog *log.Logger
	// auditLog has a line for each privileged request. deniedLog has a line for some of the denied
	// requests.
	auditLog, deniedLog *zap.Logger
	requests            calls // all that are under way
	readers, forwards   slots
	// These requests were refused because the cluster had been asked too often.
	refusedTokens, refusedAccess atomic.Int64
	entrance                     atomic.Pointer[door.Door] // nil before Serve
}

// New makes a server. It does nothing before Serve.
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

// Listen opens the TCP port of the API. It is separate from Serve, so that the agent reports a port
// that cannot be opened before it does anything else.
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

// Serve serves HTTPS on listener until ctx ends, and closes listener. Requests that are under way
// then go on for a while, so followers of logs see new lines. Then they are told to end. Requests
// that do not end are cut off. Serve returns an error if the listener fails before ctx ends.
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
	defer entrance.Close() //nolint:errcheck // the server has closed it, and has seen its errors
	s.entrance.Store(entrance)
	server := &http.Server{
		Handler:   s.handler,
		TLSConfig: tlsConfig,
		// The general handler would answer OPTIONS * itself, even to strangers.
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

// shutDown ends the server. First it gives requests time to finish. Then endRequests tells them to
// end. It returns when they have ended, or when their time has passed.
func (s *Server) shutDown(ctx context.Context, server *http.Server, endRequests func()) {
	finish, cancel := context.WithTimeout(ctx, s.config.limits.finish)
	defer cancel()
	// An error means that some followers have not ended in time. They are told to end next.
	_ = server.Shutdown(finish)
	endRequests()
	end, cancel := context.WithTimeout(ctx, s.config.limits.end)
	defer cancel()
	err := server.Shutdown(end)
	if err == nil {
		err = s.requests.waitUntil(end) // also those whose connections the server has given up
	}
	if err != nil {
		s.config.Log.Warn("requests did not end in time and were cut off", zap.Duration("after", s.config.limits.end))
		_ = server.Close()
	}
}
