package kubeletapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// dialFunc is a Ports. pod is NAMESPACE/POD/UID.
type dialFunc func(ctx context.Context, pod string, port uint16) (net.Conn, error)

func (f dialFunc) PodPorts(namespace, pod, uid string) (Dial, error) {
	if namespace == "none" {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), pod)
	}
	return func(ctx context.Context, port uint16) (net.Conn, error) {
		return f(ctx, strings.Join([]string{namespace, pod, uid}, "/"), port)
	}, nil
}

// listening is a server on 127.0.0.1 that serves one connection after another.
func listening(t *testing.T, serve func(*net.TCPConn)) dialFunc {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn))
			_ = conn.Close()
		}
	}()
	return func(ctx context.Context, pod string, port uint16) (net.Conn, error) {
		if pod != "ns/p/" || port != 80 {
			return nil, fmt.Errorf("%s has no port %d", pod, port)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", listener.Addr().String())
	}
}

// dialer returns client-go's dialer for a path, over SPDY, or over SPDY in a WebSocket.
func (r *running) dialer(t *testing.T, path string, webSocket bool) httpstream.Dialer {
	t.Helper()
	target, err := url.Parse(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	if webSocket {
		dialer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, r.config())
		if err != nil {
			t.Fatal(err)
		}
		return dialer
	}
	transport, upgrader, err := spdy.RoundTripperFor(r.config())
	if err != nil {
		t.Fatal(err)
	}
	return spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
}

// forward runs client-go's port-forward, and returns the address of the only port.
func (r *running) forward(t *testing.T, dialer httpstream.Dialer, port int) string {
	t.Helper()
	stop, ready, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	f, err := portforward.NewOnAddressesForStreaming(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("0:%d", port)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	go func() { done <- f.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	ports, err := f.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0].Local)
}

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn.(*net.TCPConn)
}

// TestPortForward: the whole input arrives, with its end. Then the whole answer arrives.
func TestPortForward(t *testing.T) {
	for _, webSocket := range []bool{false, true} {
		t.Run(fmt.Sprintf("WebSocket=%v", webSocket), func(t *testing.T) {
			const size = 4 << 20
			server := runServer(t, authority.New(t, "ca"), func(c *Config) {
				c.Ports = listening(t, func(conn *net.TCPConn) {
					n, _ := io.Copy(io.Discard, conn)
					_, _ = fmt.Fprintln(conn, n)
					_, _ = conn.Write(make([]byte, size))
				})
			})
			addr := server.forward(t, server.dialer(t, "/portForward/ns/p", webSocket), 80)
			for range 3 {
				conn := dialTCP(t, addr)
				if _, err := conn.Write(make([]byte, size)); err != nil {
					t.Fatal(err)
				}
				_ = conn.CloseWrite()
				answer, err := io.ReadAll(conn)
				if want := fmt.Sprintln(size); err != nil || !strings.HasPrefix(string(answer), want) || len(answer) != size+len(want) {
					t.Errorf("%d bytes, %v", len(answer), err)
				}
			}
		})
	}
}

// TestPortForwardEnds: the connection to the pod ends if the client closes that connection, and if
// all connections end.
func TestPortForwardEnds(t *testing.T) {
	for _, webSocket := range []bool{false, true} {
		t.Run(fmt.Sprintf("WebSocket=%v", webSocket), func(t *testing.T) {
			ended := make(chan error, 2)
			server := runServer(t, authority.New(t, "ca"), func(c *Config) {
				c.Ports = listening(t, func(conn *net.TCPConn) {
					_, _ = conn.Write([]byte("hello"))
					_, err := conn.Read(make([]byte, 1))
					ended <- err
				})
			})
			addr := server.forward(t, server.dialer(t, "/portForward/ns/p", webSocket), 80)
			hello := make([]byte, 5)
			conn := dialTCP(t, addr)
			if _, err := io.ReadFull(conn, hello); err != nil {
				t.Fatal(err)
			}
			_ = conn.Close()
			if err := <-ended; !errors.Is(err, io.EOF) {
				t.Errorf("the pod saw %v, want the end of its input", err)
			}
			conn = dialTCP(t, addr)
			if _, err := io.ReadFull(conn, hello); err != nil {
				t.Fatal(err)
			}
			server.stop()
			if err := <-ended; err == nil {
				t.Error("the pod's connection outlives the server")
			}
		})
	}
}

// TestPortForwardFailures: the user is told what failed.
func TestPortForwardFailures(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Ports = listening(t, func(*net.TCPConn) {}) })
	addr := server.forward(t, server.dialer(t, "/portForward/ns/p", false), 81)
	conn := dialTCP(t, addr)
	if rest, err := io.ReadAll(conn); len(rest) > 0 {
		t.Errorf("%q, %v from a port that is not there", rest, err)
	}

	_, _, err := server.dialer(t, "/portForward/none/p", false).Dial("portforward.k8s.io")
	if err == nil || !strings.Contains(err.Error(), `pods "p" not found`) {
		t.Errorf("a pod that is not there: %v", err)
	}
}
