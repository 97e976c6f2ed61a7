// Package listen opens the listening sockets that a guest has from its start.
package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// Open opens a listening socket for each address of spec.Listen, and fails if one cannot be
// opened. It also opens sockets for those addresses of spec.ListenFree that are free.
func Open(spec runtime.Spec) ([]*net.TCPListener, error) {
	open, err := All(spec.Listen, spec.Of)
	if err != nil {
		return nil, err
	}
	for _, address := range spec.ListenFree {
		if l, err := on(address, spec.Of); err == nil {
			open = append(open, l)
		}
	}
	return open, nil
}

// All opens a listening socket for each address, and fails if one cannot be opened.
func All(addresses []string, of runtime.Origin) ([]*net.TCPListener, error) {
	var open []*net.TCPListener
	for _, address := range addresses {
		l, err := on(address, of)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening on %s: %w", address, err), Close(open))
		}
		open = append(open, l)
	}
	return open, nil
}

// on listens on an address. The address may be a pod's own.
func on(address string, of runtime.Origin) (*net.TCPListener, error) {
	l, err := strictly(address)
	if of.Pod != "" && errors.Is(err, unix.EADDRNOTAVAIL) {
		return freely(address)
	}
	return l, err
}

func strictly(address string) (*net.TCPListener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP("tcp", at)
}

// freely listens on an address that belongs to the machine only because of a route, as for
// every pod with its own address. IPv4 accepts such an address, but IPv6 does not: it needs
// IPV6_FREEBIND.
func freely(address string) (*net.TCPListener, error) {
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

// Close closes sockets.
func Close(open []*net.TCPListener) error {
	var errs []error
	for _, l := range open {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
