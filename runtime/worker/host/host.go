package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/krustlet-go/krustlet-wasi/runtime"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// Config is the configuration of a worker process.
type Config struct {
	// Engine runs the guests. Serve does not close it.
	Engine runtime.Engine
	// HostCalls returns how often guests have called each function of their host, in total. It may
	// be nil.
	HostCalls func() map[string]uint64
	// Network is what the guests share of the network. It may be nil; then agents cannot update it.
	Network Cluster
	// Build is this program's build and settings. An agent of another build starts no guests here.
	Build string
	// Idle is how long the worker stays without runs and without an agent.
	Idle time.Duration
	// Ready is the pipe from the agent. The worker writes to it when it serves, and closes it. It
	// may be nil.
	Ready *os.File
	// Log gets messages about the worker, but not the output of guests.
	Log *zap.Logger
}

func (cfg *Config) check() error {
	switch {
	case cfg.Engine == nil || cfg.Log == nil:
		return errors.New("no engine or no logger")
	case cfg.Idle <= 0:
		return errors.New("the setting Idle must be positive")
	}
	return nil
}

// hostCalls is nil if calls are not counted.
func (cfg *Config) hostCalls() map[string]uint64 {
	if cfg.HostCalls == nil {
		return nil
	}
	return cfg.HostCalls()
}

// How long a worker that will exit waits for its guests to end, and for the agent to read the last
// messages.
const (
	guestsPatience = 10 * time.Second
	agentPatience  = 2 * time.Second
)

// server answers the calls of the protocol.
type server struct {
	workerpb.UnimplementedWorkerServer
	cfg   Config
	dir   string // the worker's folder
	table *runTable
	last  chan struct{}  // closed after all guests have ended; then a Watch sends the last message
	work  sync.WaitGroup // goroutines that run beside the calls

	network sync.Mutex // held while an update is applied
	telling sync.Mutex // held while an agent is told what the network refuses
}

// Serve runs the worker: see the package documentation.
func (b *Bound) Serve(ctx context.Context, cfg Config) error {
	defer func() { _ = b.folder.Close(); _ = b.record.Close() }() // this releases the locks
	if err := cfg.check(); err != nil {
		return errors.Join(err, b.listener.Close())
	}
	s := &server{cfg: cfg, dir: b.dir, table: newRunTable(cfg.Idle), last: make(chan struct{})}
	return s.serve(ctx, b.info, &guardedListener{UnixListener: b.listener, uid: uint32(os.Geteuid()), log: cfg.Log})
}

func (s *server) serve(ctx context.Context, info wire.Info, listener net.Listener) error {
	g := grpc.NewServer(
		grpc.ForceServerCodecV2(wire.Codec),
		grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage),
		grpc.InitialWindowSize(wire.StreamWindow), grpc.InitialConnWindowSize(wire.ConnWindow),
		grpc.ReadBufferSize(wire.IOBuffer), grpc.WriteBufferSize(wire.IOBuffer), grpc.SharedWriteBuffer(true),
		grpc.UnaryInterceptor(s.recoverUnary), grpc.StreamInterceptor(s.recoverStream),
	)
	workerpb.RegisterWorkerServer(g, s)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	err := s.announce(info)
	if err == nil {
		s.table.idle.release() // until now the start of the worker has held it
		select {
		case <-ctx.Done():
		case <-s.table.ending:
		case err = <-served:
			err = fmt.Errorf("serving: %w", err)
		}
	}
	ended := s.table.endAll(guestsPatience)
	close(s.last)
	impatient := time.AfterFunc(agentPatience, g.Stop)
	g.GracefulStop()
	impatient.Stop()
	if !ended {
		return errors.Join(err, errors.New("guests are left that could not be killed"))
	}
	s.work.Wait()
	return err
}

// announce tells the agent that the worker can be reached.
func (s *server) announce(info wire.Info) (err error) {
	info.PID, info.Build = os.Getpid(), s.cfg.Build
	if info.StartTime, err = wire.StartTime(info.PID); err != nil {
		return fmt.Errorf("reading the start time of this process: %w", err)
	}
	if err := info.Tell(s.dir); err != nil {
		return fmt.Errorf("writing the record of the worker: %w", err)
	}
	if s.cfg.Ready == nil {
		return nil
	}
	// If the agent was killed in the meantime, it does not read this; the next agent finds the
	// folder.
	if _, err := s.cfg.Ready.WriteString(wire.ReadyWord); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("telling the agent that the worker is ready: %w", err)
	}
	return s.cfg.Ready.Close()
}

// recoverUnary makes sure that a mistake in the code of one call does not end all guests.
func (s *server) recoverUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
	defer func() { err = s.recovered(recover(), info.FullMethod, err) }()
	return handler(ctx, req)
}

func (s *server) recoverStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	defer func() { err = s.recovered(recover(), info.FullMethod, err) }()
	return handler(srv, stream)
}

func (s *server) recovered(panicked any, method string, err error) error {
	if panicked == nil {
		return err
	}
	s.cfg.Log.Error("a call panicked", zap.String("method", method), zap.Any("panic", panicked), zap.ByteString("stack", debug.Stack()))
	return status.Errorf(codes.Internal, "%s panicked in the worker: %v", method, panicked)
}
