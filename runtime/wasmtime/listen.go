package wasmtime

import (
	"errors"
	"fmt"
	"net"
)

// listen opens a listening socket for each address, all or none.
func listen(addresses []string) ([]*net.TCPListener, error) {
	var open []*net.TCPListener
	for _, address := range addresses {
		l, err := listenOn(address)
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

func closeListeners(open []*net.TCPListener) error {
	var errs []error
	for _, l := range open {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
