package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime/debug"
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

// Config is what a worker process needs.
type Config struct {
	// Engine runs the guests. Serve does not close it.
	Engine runtime.Engine
	// HostCalls is how often guests have called each function of their host, in all. It may be nil.
	HostCalls func() map[string]uint64
	// Build is this binary's build and settings: an agent of another one starts no guests here.
	Build string
	// Idle is how long the worker stays without runs and without an agent.
	Idle time.Duration
	// Ready is told when the worker serves, and closed: the pipe that the agent has given it. It may be nil.
	Ready *os.File
	// Log gets what concerns the worker and not one guest's own output.
	Log *zap.Logger
}

func (cfg *Config) check() error {
	switch {
	case cfg.Engine == nil || cfg.Log == nil:
		return errors.New("worker: no engine or no logger")
	case cfg.Idle <= 0:
		return errors.New("worker: Idle must be positive")
	}
	return nil
}

// hostCalls is nil where nobody counts them.
func (cfg *Config) hostCalls() map[string]uint64 {
	if cfg.HostCalls == nil {
		return nil
	}
	return cfg.HostCalls()
}

// How long the end of a worker waits for its guests, and for the agent to take what it was sent.
const (
	guestsPatience = 10 * time.Second
	agentPatience  = 2 * time.Second
)

// Bound is a worker's folder that is held, and its socket, at which nobody answers yet. One that is garbage holds nothing: its files
// are closed.
type Bound struct {
	dir      string
	info     wire.Info
	record   *os.File // holds the lock that an agent finds this process by
	folder   *os.File // holds the one that agents of earlier versions look at
	listener *net.UnixListener
}

// Bind takes the folder, which the agent made. It comes before the process gives up what it does not need, as making a
// unix socket, and reading the record beside the folder. Serve or Close follows.
func Bind(dir string) (*Bound, error) {
	b := &Bound{dir: dir}
	if err := b.bind(); err != nil {
		return nil, errors.Join(fmt.Errorf("worker: %w", err), b.Close())
	}
	return b, nil
}

func (b *Bound) bind() (err error) {
	if b.record, err = wire.OpenRecord(b.dir); err != nil {
		return err
	}
	if b.info, err = wire.ParseInfo(b.record); err != nil {
		return err
	}
	if err := wire.Take(b.record); err != nil {
		return err
	}
	if b.folder, err = wire.OpenFolder(b.dir); err != nil {
		return err
	}
	_ = wire.LockFolder(b.folder) // another worker may hold it, and does no harm by that
	b.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: wire.SocketPath(b.folder), Net: "unix"})
	if err != nil {
		return fmt.Errorf("bind the socket: %w", err)
	}
	b.listener.SetUnlinkOnClose(false)
	return nil
}

// Info is what the agent has noted of this worker: what it is for.
func (b *Bound) Info() wire.Info { return b.info }

// Close lets go of a folder that does not come to serve. The agent removes it: where workers stay among themselves, none can.
func (b *Bound) Close() error {
	var errs []error
	if b.listener != nil {
		errs = append(errs, b.listener.Close())
	}
	for _, file := range []*os.File{b.folder, b.record} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// Serve is the life of a worker: it hosts guests until ctx ends, until an agent shuts it down, or until it had
// neither runs nor an agent for a while. Guests that run then are killed. Its folder stays, for the agent to remove.
func (b *Bound) Serve(ctx context.Context, cfg Config) error {
	defer func() { _ = b.folder.Close(); _ = b.record.Close() }() // with which it is free
	if err := cfg.check(); err != nil {
		return errors.Join(err, b.listener.Close())
	}
	s := newServer(cfg, b.dir)
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
		s.settle() // from here on it may be idle
		select {
		case <-ctx.Done():
		case <-s.over:
		case err = <-served:
			err = fmt.Errorf("worker: serve: %w", err)
		}
	}
	ended := s.endRuns()
	impatient := time.AfterFunc(agentPatience, g.Stop)
	g.GracefulStop()
	impatient.Stop()
	if !ended {
		return errors.Join(err, errors.New("worker: guests are left that could not be killed"))
	}
	s.work.Wait()
	return err
}

// announce says that the worker can be reached.
func (s *server) announce(info wire.Info) (err error) {
	info.PID, info.Build = os.Getpid(), s.cfg.Build
	if info.StartTime, err = wire.StartTime(info.PID); err != nil {
		return fmt.Errorf("worker: start time of this process: %w", err)
	}
	if err := info.Tell(s.dir); err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	if s.cfg.Ready == nil {
		return nil
	}
	// An agent that died meanwhile reads no more; its successor finds the folder.
	if _, err := s.cfg.Ready.WriteString(wire.ReadyWord); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("worker: tell that it is ready: %w", err)
	}
	return s.cfg.Ready.Close()
}

// recoverUnary keeps a mistake in the code of one call from ending all guests.
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

// Hello implements the protocol.
func (s *server) Hello(context.Context, *workerpb.HelloRequest) (*workerpb.HelloResponse, error) {
	return &workerpb.HelloResponse{Protocol: wire.Protocol, Build: s.cfg.Build, Pid: int64(os.Getpid())}, nil
}

// Shutdown implements the protocol.
func (s *server) Shutdown(_ context.Context, req *workerpb.ShutdownRequest) (*workerpb.ShutdownResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.runs) > 0 && !req.GetForce() {
		return &workerpb.ShutdownResponse{Refused: true}, nil
	}
	s.finish()
	return &workerpb.ShutdownResponse{HostCalls: s.cfg.hostCalls()}, nil
}
