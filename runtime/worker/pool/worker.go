package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/workerpb"
)

// remote is a worker as the agent sees it. Three goroutines belong to it: one waits for the end of its process, one
// keeps the Watch, and one does errands.
type remote struct {
	pool    *Pool
	dir     string
	info    wire.Info
	marks   key // of its runs
	log     *zap.Logger
	process *handle // of the operating system
	conn    *grpc.ClientConn
	client  workerpb.WorkerClient
	errands *errands
	link    *link

	unreached atomic.Pointer[error] // why it could not be connected to, when that was tried last

	dead chan struct{} // closed when the process has ended and its runs were told

	// The pool's lock guards these.
	cause    *deathError       // set when the process has ended, before dead is closed
	draining bool              // gets no new guests
	closing  bool              // is being shut down
	users    int               // runs, ended ones that are not forgotten among them, sessions, and starts under way
	empty    time.Time         // since when it has no users
	hosting  map[string]int    // guests that run, by pod
	called   map[string]uint64 // host calls of its guests that count already; nil before it was heard of
}

// newRemote makes a connection, which is not used yet.
func newRemote(p *Pool, dir string, info wire.Info, marks key, process *handle) (*remote, error) {
	w := &remote{
		pool:    p,
		dir:     dir,
		info:    info,
		marks:   marks,
		log:     p.cfg.Log.With(zap.Int("worker", info.PID)),
		process: process,
		errands: newErrands(),
		link:    newLink(),
		dead:    make(chan struct{}),
		// An agent with fewer shared workers than its predecessor has no use for the others. One that cannot show which runs are its own
		// gets no more of them.
		draining: info.Build != p.cfg.Build || !info.Isolated && info.Shard >= p.cfg.Shards || marks == nil,
		empty:    time.Now(),
		hosting:  map[string]int{},
	}
	var err error
	if w.conn, err = w.dial(); err != nil {
		return nil, fmt.Errorf("worker process %d: %w", info.PID, err)
	}
	w.client = workerpb.NewWorkerClient(w.conn)
	return w, nil
}

// dial connects to the worker, now and whenever the connection breaks.
func (w *remote) dial() (*grpc.ClientConn, error) {
	connect := backoff.DefaultConfig
	connect.BaseDelay, connect.MaxDelay = 10*time.Millisecond, time.Second
	return grpc.NewClient("passthrough:///worker",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return w.reach(ctx) }),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: connect, MinConnectTimeout: time.Second}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec), grpc.MaxCallRecvMsgSize(wire.MaxAnswer), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
		grpc.WithMaxHeaderListSize(wire.MaxHeader),
		grpc.WithInitialWindowSize(wire.StreamWindow), grpc.WithInitialConnWindowSize(wire.ConnWindow),
		grpc.WithReadBufferSize(wire.IOBuffer), grpc.WithWriteBufferSize(wire.IOBuffer), grpc.WithSharedWriteBuffer(true),
		grpc.WithIdleTimeout(0), grpc.WithDisableServiceConfig(), grpc.WithNoProxy(),
	)
}

// reach connects to the worker's process, and to no other: any may listen at its socket by now.
func (w *remote) reach(ctx context.Context) (net.Conn, error) {
	conn, peer, err := dialSocket(ctx, w.dir)
	if err == nil && peer != w.process.pid {
		err = errors.Join(fmt.Errorf("process %d listens at %s, and not the worker", peer, filepath.Join(w.dir, wire.SocketFile)), conn.Close())
	}
	if err != nil {
		w.unreached.Store(&err)
		return nil, err
	}
	w.unreached.Store(nil)
	return conn, nil
}

// dialSocket connects to the socket of a folder, through open files: a socket's address has no room for a long path, and a link
// would lead to another worker. The process is the one that listens, as the kernel says.
func dialSocket(ctx context.Context, dir string) (_ net.Conn, pid int, err error) {
	folder, err := wire.OpenFolder(dir)
	if err != nil {
		return nil, 0, err
	}
	defer folder.Close() //nolint:errcheck // it was only looked at
	fd, err := unix.Openat(int(folder.Fd()), wire.SocketFile, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("look for the socket of %s: %w", dir, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it was only looked at
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, 0, fmt.Errorf("connect to %s: %w", filepath.Join(dir, wire.SocketFile), err)
	}
	peer, err := wire.PeerOf(conn.(*net.UnixConn))
	if err == nil && !wire.Trusted(peer, uint32(os.Geteuid())) {
		err = fmt.Errorf("%s belongs to user %d", dir, peer.Uid)
	}
	if err != nil {
		return nil, 0, errors.Join(err, conn.Close())
	}
	return conn, int(peer.Pid), nil
}

// run is the remote's life, until its worker is dead or ctx ends.
func (w *remote) run(ctx context.Context) {
	defer w.process.close()
	live, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	work.Go(func() { w.keepWatch(live) })
	work.Go(func() { w.doErrands(live) })
	how, err := w.process.wait(ctx)
	if err == nil {
		// What it had sent before its end is still to be read; then the Watch breaks.
		last, stop := context.WithTimeout(ctx, agentPatience)
		_ = w.link.await(last, func(watch uint64) bool { return watch == 0 })
		stop()
	}
	cancel()
	work.Wait()
	if closeErr := w.conn.Close(); closeErr != nil {
		w.log.Warn("closing the connection to a worker", zap.Error(closeErr))
	}
	switch {
	case err == nil:
		w.pool.bury(w, how)
	case ctx.Err() == nil:
		w.log.Error("the end of a worker process cannot be waited for", zap.Error(err))
	}
}

// retirement is how long an isolated worker waits for its pod's next container.
const retirement = 2 * time.Second

// doErrands tells the worker what it has to know, and shuts it down when it is of no more use.
func (w *remote) doErrands(ctx context.Context) {
	defer w.lastErrands(ctx)
	for {
		next := w.pool.retireAt(w)
		var due <-chan time.Time
		if !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-w.errands.wake:
		case <-due:
		case <-ctx.Done():
			return
		}
		if err := w.link.await(ctx, func(watch uint64) bool { return watch != 0 }); err != nil {
			return
		}
		err := w.errands.run(ctx, w.client)
		if err == nil {
			err = w.retire(ctx)
		}
		if err != nil && ctx.Err() == nil {
			w.log.Warn("a worker could not be told what it has to know; it will be", zap.Error(err))
			if pause(ctx, callPause) != nil {
				return
			}
		}
	}
}

// lastErrands tells the worker what is left to tell when the agent ends.
func (w *remote) lastErrands(ctx context.Context) {
	if !w.errands.pending() || w.process.ended() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), agentPatience)
	defer cancel()
	if err := w.errands.run(ctx, w.client); err != nil {
		w.log.Warn("a worker could not be told what it has to know; the next agent will", zap.Error(err))
	}
}

// retire shuts the worker down if it is of no more use.
func (w *remote) retire(ctx context.Context) error {
	if !w.pool.closing(w) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	resp, err := w.client.Shutdown(ctx, &workerpb.ShutdownRequest{})
	if err == nil && resp.GetRefused() {
		err = errors.New("it has runs")
	}
	if err != nil {
		w.pool.reopen(w)
		return fmt.Errorf("shut down the worker: %w", err)
	}
	w.pool.noteCalls(w, resp.GetHostCalls(), false)
	w.log.Info("a worker without guests was shut down")
	return nil
}

// callPause is between attempts to tell a worker something.
const callPause = 100 * time.Millisecond

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
