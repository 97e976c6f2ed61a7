package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Result is what a probe found.
type Result struct {
	OK      bool
	Warning bool   // OK, but an administrator should look at it
	Output  string // for the user: why it is not OK, or what the server answered
}

func failed(format string, args ...any) Result { return Result{Output: fmt.Sprintf(format, args...)} }

// Network carries out a probe over the network. host is the pod's address, for probes that name no
// host. If there is no answer within timeout, the probe has failed.
func Network(ctx context.Context, handler corev1.ProbeHandler, c *corev1.Container, host string, timeout time.Duration) (Result, error) {
	switch {
	case handler.HTTPGet != nil:
		return httpGet(ctx, handler.HTTPGet, c, host, timeout)
	case handler.TCPSocket != nil:
		port, err := Port(handler.TCPSocket.Port, c)
		if err != nil {
			return Result{}, err
		}
		if handler.TCPSocket.Host != "" {
			host = handler.TCPSocket.Host
		}
		return tcp(ctx, join(host, port), timeout), nil
	case handler.GRPC != nil:
		service := ""
		if handler.GRPC.Service != nil {
			service = *handler.GRPC.Service
		}
		return grpcHealth(ctx, join(host, int(handler.GRPC.Port)), service, timeout), nil
	}
	return Result{}, errors.New("missing probe handler")
}

// Port is the number of a port. port may be a name from the container's spec.
func Port(port intstr.IntOrString, c *corev1.Container) (int, error) {
	number := port.IntValue()
	if port.Type == intstr.String {
		for _, p := range c.Ports {
			if p.Name == port.StrVal {
				number = int(p.ContainerPort)
			}
		}
	}
	if number < 1 || number > 65535 {
		return 0, fmt.Errorf("invalid port number: %s", port.String())
	}
	return number, nil
}

func join(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func tcp(ctx context.Context, address string, timeout time.Duration) Result {
	d := dialer()
	d.Timeout = timeout
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return failed("%v", err)
	}
	_ = conn.Close() // the probe asks only whether the port is open
	return Result{OK: true}
}

// dialer makes connections whose TIME_WAIT lasts at most one second. Otherwise probes would use up
// the ports.
func dialer() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var inner error
		err := c.Control(func(fd uintptr) {
			inner = syscall.SetsockoptLinger(int(fd), syscall.SOL_SOCKET, syscall.SO_LINGER, &syscall.Linger{Onoff: 1, Linger: 1})
		})
		return errors.Join(err, inner)
	}}
}
