package controlplane

import (
	"fmt"
	"net"
	"strconv"

	"golang.org/x/sys/unix"
)

// loopback is the only address on which the components listen.
const loopback = "127.0.0.1"

// port is a TCP port on the loopback address, reserved for a component.
//
// A socket that is bound and never listens reserves a free port. The kernel gives such a port to no
// other process. But the component shares the port, and may listen on it, also after a restart.
// Without that socket, another program could take the free port before the component listens. And a
// client that connects to a stopped component could get the same port as its own port, and connect
// to itself.
type port struct {
	number int
	// held is the socket, or -1 for a port that the user chose. Only the component has such a port,
	// so that a second cluster cannot share it.
	held int
}

// takeFreePort takes a free port.
func takeFreePort() (port, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return port{}, fmt.Errorf("taking a free port: %w", err)
	}
	number, err := bindFree(fd)
	if err != nil {
		_ = unix.Close(fd)
		return port{}, fmt.Errorf("taking a free port: %w", err)
	}
	return port{number: number, held: fd}, nil
}

func bindFree(fd int) (int, error) {
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, err
	}
	// This comes after the bind, so the bind was exclusive.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return 0, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	address, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return 0, fmt.Errorf("bound to an address of type %T", name)
	}
	return address.Port, nil
}

// takePort takes the port that the user chose. For 0 it takes a free one.
func takePort(number int) (port, error) {
	if number == 0 {
		return takeFreePort()
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort(loopback, strconv.Itoa(number)))
	if err != nil {
		return port{}, fmt.Errorf("listening on the port given by --port: %w", err)
	}
	return port{number: number, held: -1}, listener.Close()
}

func (p port) shared() bool { return p.held >= 0 }

func (p port) url() string {
	return "https://" + net.JoinHostPort(loopback, strconv.Itoa(p.number))
}

func (p port) close() {
	if p.shared() {
		_ = unix.Close(p.held)
	}
}
