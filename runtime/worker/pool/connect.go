package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// dial makes a connection to the worker. It connects again when the connection breaks.
func (w *worker) dial() (*grpc.ClientConn, error) {
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

// reach connects to the worker's process and to no other. Another process may listen at the
// socket's path by now.
func (w *worker) reach(ctx context.Context) (net.Conn, error) {
	conn, peer, err := dialSocket(ctx, w.dir)
	if err == nil && peer != w.process.pid {
		err = fmt.Errorf("process %d listens at %s, and not the worker", peer, filepath.Join(w.dir, wire.SocketFile))
		err = errors.Join(err, conn.Close())
	}
	if err != nil {
		w.unreached.Store(&err)
		return nil, err
	}
	w.unreached.Store(nil)
	return conn, nil
}

// dialSocket connects to the socket in a folder. It uses open files, because a socket's address has
// no room for a long path, and because a link could lead to another worker. pid is the process that
// listens, as the kernel reports it.
func dialSocket(ctx context.Context, dir string) (_ net.Conn, pid int, err error) {
	folder, err := wire.OpenFolder(dir)
	if err != nil {
		return nil, 0, err
	}
	defer folder.Close() //nolint:errcheck // it was opened only for its names
	fd, err := unix.Openat(int(folder.Fd()), wire.SocketFile, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("looking for the socket of %s: %w", dir, err)
	}
	defer unix.Close(fd) //nolint:errcheck // it was opened only for its path
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, 0, fmt.Errorf("connecting to %s: %w", filepath.Join(dir, wire.SocketFile), err)
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

// callPause is the time between two attempts of a call to a worker.
const callPause = 100 * time.Millisecond
