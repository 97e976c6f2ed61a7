package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// listen opens a listening socket for each address of spec.Listen, and fails if one cannot be
// opened. It also opens sockets for those addresses of spec.ListenFree that are free.
func listen(spec runtime.Spec) ([]*net.TCPListener, error) {
	var open []*net.TCPListener
	for _, address := range spec.Listen {
		l, err := listenOn(address, spec.Of)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening on %s: %w", address, err), closeListeners(open))
		}
		open = append(open, l)
	}
	for _, address := range spec.ListenFree {
		if l, err := listenOn(address, spec.Of); err == nil {
			open = append(open, l)
		}
	}
	return open, nil
}

// listenOn listens on an address. The address may be a pod's own.
func listenOn(address string, of runtime.Origin) (*net.TCPListener, error) {
	l, err := listenStrictly(address)
	if of.Pod != "" && errors.Is(err, unix.EADDRNOTAVAIL) {
		return listenFreely(address)
	}
	return l, err
}

func listenStrictly(address string) (*net.TCPListener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP("tcp", at)
}

// listenFreely listens on an address that belongs to the machine only because of a route, as for
// every pod with its own address. IPv4 accepts such an address, but IPv6 does not: it needs
// IPV6_FREEBIND.
func listenFreely(address string) (*net.TCPListener, error) {
	config := net.ListenConfig{Control: func(network, _ string, conn syscall.RawConn) error {
		if network != "tcp6" {
			return nil
		}
		var failed error
		err := conn.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_FREEBIND, 1)
		})
		return errors.Join(err, failed)
	}}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s has a listener of type %T", address, l), l.Close())
	}
	return tcp, nil
}

func closeListeners(open []*net.TCPListener) error {
	var errs []error
	for _, l := range open {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
