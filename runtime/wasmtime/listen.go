package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listen opens a listening socket for each address, all or none. Those of a pod may be its own.
func listen(addresses []string, ofPod bool) ([]*net.TCPListener, error) {
	var open []*net.TCPListener
	for _, address := range addresses {
		l, err := listenOn(address)
		if ofPod && errors.Is(err, unix.EADDRNOTAVAIL) {
			l, err = listenFreely(address)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listen on %s: %w", address, err), closeListeners(open))
		}
		open = append(open, l)
	}
	return open, nil
}

func listenOn(address string) (*net.TCPListener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP("tcp", at)
}

// listenFreely listens on an address of which IPv6 does not know that it is the machine's: a route says so, as for every pod
// with an address of its own, and IPv4 looks at routes.
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
