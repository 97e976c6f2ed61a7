package preview1

import (
	"io"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestTraffic: bytes that move over connections are counted once, by whichever call they move.
// Errors of the network are counted once, too.
func TestTraffic(t *testing.T) {
	c, addr := listening(t, wasi.Config{Stdout: io.Discard})
	fd, peer := c.accepted(addr, flagNonblock)
	want := func(what string, want wasi.Traffic) {
		t.Helper()
		if got := c.g.Traffic(); got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	want("at first", wasi.Traffic{})
	if _, err := peer.Write([]byte("hello, guest")); err != nil {
		t.Fatal(err)
	}
	c.subscribe(0, eventFDRead, fd, 0)
	c.events(1)
	v, n := c.vec(5)
	c.want(nil, "sock_recv", fd, v, n, recvPeek, addrResult, 8)
	want("what was only looked at", wasi.Traffic{})
	c.want(nil, "sock_recv", fd, v, n, 0, addrResult, 8)
	want("sock_recv", wasi.Traffic{Received: 5})
	c.want(nil, "fd_read", fd, v, n, addrResult)
	want("fd_read", wasi.Traffic{Received: 10})
	c.want(nil, "fd_read", fd, v, n, addrResult)
	c.want(ErrnoAgain, "fd_read", fd, v, n, addrResult)
	want("nothing more to read", wasi.Traffic{Received: 12})
	c.want(nil, "sock_send", fd, v, n, 0, addrResult)
	c.write(fd, "bye")
	c.write(1, "not over the network")
	want("sent", wasi.Traffic{Received: 12, Sent: 8})

	got := make([]byte, 8)
	if _, err := io.ReadFull(peer, got); err != nil {
		t.Fatal(err)
	}
	if err := peer.SetLinger(0); err != nil { // so that Close resets the connection
		t.Fatal(err)
	}
	_ = peer.Close()
	c.events(1)
	c.want(ErrnoConnreset, "fd_read", fd, v, n, addrResult)
	c.want(ErrnoPipe, "fd_write", fd, v, n, addrResult)
	want("after a reset", wasi.Traffic{Received: 12, Sent: 8, ReceiveErrors: 1, SendErrors: 1})
}
