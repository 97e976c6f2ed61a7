package controlplane

import (
	"context"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func listen(number int, share bool) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		if !share {
			return nil
		}
		var failed error
		if err := conn.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); err != nil {
			return err
		}
		return failed
	}}
	return config.Listen(context.Background(), "tcp4", net.JoinHostPort(loopback, strconv.Itoa(number)))
}

func TestFreePortIsHeldForItsComponent(t *testing.T) {
	held, err := takePort(0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.close()
	address := strings.TrimPrefix(held.url(), "https://")
	// Two rounds: a restarted component listens again.
	for range 2 {
		if other, err := listen(held.number, false); err == nil {
			_ = other.Close()
			t.Fatal("another program could listen on the port")
		}
		if conn, err := net.Dial("tcp4", address); err == nil {
			_ = conn.Close()
			t.Fatal("something answers on the port before the component listens")
		}
		component, err := listen(held.number, true)
		if err != nil {
			t.Fatalf("the component cannot listen: %v", err)
		}
		// Every connection reaches the component. None reaches the socket that reserves the port.
		for range 20 {
			conn, err := net.Dial("tcp4", address)
			if err != nil {
				t.Fatal(err)
			}
			accepted, err := component.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = accepted.Close()
			_ = conn.Close()
		}
		_ = component.Close()
	}
}

func TestChosenPortInUseIsRefused(t *testing.T) {
	held, err := takePort(0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.close()
	// Another cluster has reserved the port, and its component does not listen yet.
	if _, err := takePort(held.number); err == nil {
		t.Error("a port that another cluster holds was taken")
	}
	held.close()
	chosen, err := takePort(held.number)
	if err != nil {
		t.Fatalf("a port given free: %v", err)
	}
	if chosen.shared() {
		t.Error("a chosen port may be shared")
	}
}
