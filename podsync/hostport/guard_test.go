package hostport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// door is a Guard that knows which clients are welcome.
type door struct {
	mu      sync.Mutex
	welcome map[netip.Addr]bool
	asked   []netip.AddrPort
}

func (d *door) Admit(_ context.Context, pod string, client netip.Addr, to netip.AddrPort) bool {
	d.mu.Lock()
	d.asked = append(d.asked, to)
	d.mu.Unlock()
	return d.Admits(pod, client, to)
}

func (d *door) Admits(pod string, client netip.Addr, _ netip.AddrPort) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return pod == "u" && d.welcome[client]
}

func (d *door) close(client netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.welcome[client] = false
}

// dialFrom connects from an address. The connection is nil if it was reset at once.
func dialFrom(t *testing.T, from netip.Addr, to netip.AddrPort) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.TCPAddrFromAddrPort(to))
	if errors.Is(err, unix.ECONNRESET) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// answers reports whether the pod answers over a connection.
func answers(conn *net.TCPConn) bool {
	if conn == nil {
		return false
	}
	if _, err := conn.Write([]byte("x")); err != nil {
		return false
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err == nil
}

// A client whom the guard does not admit reaches nothing, and the connections of one who is not
// welcome any more are cut. Those of others go on.
func TestGuard(t *testing.T) {
	host, pod, friend, guest, stranger := loopback(), loopback(), loopback(), loopback(), loopback()
	n := machine(t, 80, host)
	d := &door{welcome: map[netip.Addr]bool{friend: true, guest: true}}
	n.guard = d
	to, at := netip.AddrPortFrom(pod, number+1), netip.AddrPortFrom(host, number)
	server(t, to, echo)
	if err := n.Open("u", []Port{{Number: number, To: []netip.AddrPort{to}}}); err != nil {
		t.Fatal(err)
	}
	if answers(dialFrom(t, stranger, at)) {
		t.Error("a stranger reaches the pod")
	}
	stays, goes := dialFrom(t, friend, at), dialFrom(t, guest, at)
	if !answers(stays) || !answers(goes) {
		t.Fatal("a welcome client does not reach the pod")
	}
	d.close(guest)
	n.Review()
	if _, err := goes.Read(make([]byte, 1)); err == nil {
		t.Error("the connection of a client who is not welcome any more goes on")
	}
	if !answers(stays) {
		t.Error("the connection of another client was cut")
	}
	for _, asked := range d.asked {
		if asked != to {
			t.Errorf("the guard was asked about %v, want the pod's %v", asked, to)
		}
	}
}
