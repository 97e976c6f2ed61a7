package hostport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

const (
	// acceptAgain is the delay before the next try after a listener failed: the process had too
	// many open files.
	acceptAgain = time.Second
	// The pod is on this machine, so a connection takes long only if the pod does not accept.
	dialTimeout = 10 * time.Second
	bufferSize  = 64 << 10
)

// accept forwards the connections of a listener until the listener is closed. Each connection takes
// one slot of each kind.
func (n *Node) accept(ctx context.Context, l *net.TCPListener, p *pod, to netip.AddrPort, slots ...chan struct{}) {
	for {
		client, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			n.log.Warn("cannot accept a connection for a pod", zap.Stringer("address", l.Addr()), zap.Error(err))
			if pause.For(ctx, acceptAgain) != nil {
				return
			}
			continue
		}
		for _, s := range slots {
			if !take(ctx, s) {
				reset(client)
				return // the pod is closed, and its slots are never used again
			}
		}
		n.tasks.Go(func() {
			defer func() {
				for _, s := range slots {
					<-s
				}
			}()
			n.admit(ctx, client, p, to)
		})
	}
}

// take waits for a slot.
func take(ctx context.Context, slots chan<- struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// forward connects a client to the pod, until both directions have ended or ctx ends.
func forward(ctx context.Context, client *net.TCPConn, to string) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		reset(client)
		return
	}
	pod := conn.(*net.TCPConn) //nolint:forcetypeassert // Dial returns that type for "tcp"
	defer context.AfterFunc(ctx, func() { reset(client); reset(pod) })()
	var back sync.WaitGroup
	back.Go(func() { pass(client, pod) })
	pass(pod, client)
	back.Wait()
	_, _ = client.Close(), pod.Close() // no caller could use the errors
}

// pass copies in one direction, and passes on the end of the data. If reading fails, it resets the
// other connection. If writing fails, it does nothing more: the other direction sees that error
// itself, after it has passed on the data that was sent.
func pass(to, from *net.TCPConn) {
	for {
		buffer, n, err := read(from)
		if n > 0 {
			_, failed := to.Write((*buffer)[:n])
			buffers.Put(buffer)
			if failed != nil {
				return
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			_ = to.CloseWrite() // it fails if the other end has closed the connection
			return
		case err != nil:
			reset(to)
			return
		}
	}
}

var buffers = sync.Pool{New: func() any { return new(make([]byte, bufferSize)) }}

// read waits until there is data, and only then takes a buffer. If n > 0, the caller returns the
// buffer to the pool.
func read(from *net.TCPConn) (buffer *[]byte, n int, err error) {
	raw, err := from.SyscallConn()
	if err != nil {
		return nil, 0, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		buffer = buffers.Get().(*[]byte) //nolint:forcetypeassert // the pool has only these
		for {
			n, failed = unix.Read(int(fd), *buffer)
			if !errors.Is(failed, unix.EINTR) {
				break
			}
		}
		if n <= 0 {
			buffers.Put(buffer)
		}
		return !errors.Is(failed, unix.EAGAIN)
	})
	switch {
	case err != nil:
		return nil, 0, err
	case failed != nil:
		return nil, 0, failed
	case n == 0:
		return nil, 0, io.EOF
	}
	return buffer, n, nil
}

// reset closes a connection in a way that the other end sees as an error, not as a regular end.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0) // it fails if the connection is closed already
	_ = conn.Close()
}
