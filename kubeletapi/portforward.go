package kubeletapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// Ports connects to the ports of pods.
type Ports interface {
	// PodPorts finds a pod that runs, and returns a function that connects to its ports. uid is
	// empty, or the pod's. An error becomes the HTTP answer, as with Logs. An error of dial goes to
	// the user.
	PodPorts(namespace, pod, uid string) (dial Dial, err error)
}

// Dial is what Ports.PodPorts returns.
type Dial = func(ctx context.Context, port uint16) (net.Conn, error)

func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	tunnel := wsstream.IsWebSocketRequestWithTunnelingProtocol(r)
	opts := &portforward.V4Options{}
	if !tunnel {
		var err error
		if opts, err = portforward.NewV4Options(r); err != nil {
			writeStatus(w, apierrors.NewBadRequest(err.Error()))
			return
		}
	}
	to := containerOf(r)
	dial, err := s.config.Ports.PodPorts(to.namespace, to.pod, to.uid)
	if err != nil {
		writeStatus(w, err)
		return
	}
	s.upgraded(w, r, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		f := &forwarder{ctx: ctx, dial: dial, slots: s.forwards}
		defer f.calls.wait()
		defer cancel()
		serve := func(w http.ResponseWriter, r *http.Request) {
			portforward.ServePortForward(w, r, f, to.pod, to.uid, opts,
				s.config.StreamIdleTimeout, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
		}
		if tunnel {
			inner := serve
			serve = proxy.NewTunnelingHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner(tunnelled{w}, r) })).ServeHTTP
		}
		serve(w, r)
	})
}

// forwarder serves the connections that a client makes through its own connection.
type forwarder struct {
	ctx   context.Context //nolint:containedctx // the request's: the library passes none to its calls
	dial  Dial
	calls calls
	slots slots
}

// PortForward implements portforward.PortForwarder.
func (f *forwarder) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	if !f.calls.begin() {
		return errClientGone
	}
	defer f.calls.end()
	if !f.slots.take() {
		return fmt.Errorf("this node forwards %d connections at a time, and no more: try again later", f.slots.most())
	}
	defer f.slots.give()
	conn, err := f.dial(f.ctx, uint16(port)) //nolint:gosec // the library has parsed it as such a number
	if err != nil {
		return failureOf(f.ctx, err)
	}
	defer conn.Close() //nolint:errcheck // both directions have ended
	defer context.AfterFunc(f.ctx, func() { _ = conn.Close() })()
	join(stream, conn)
	// An error is not returned, because kubectl would end all other connections.
	return nil
}

// join copies in both directions, until both sides have closed their output, or the connection
// breaks. A Read of the stream may still be under way when it returns.
func join(stream io.ReadWriteCloser, conn net.Conn) {
	sent := make(chan struct{})
	go func() { // it ends with the stream
		defer close(sent)
		_, err := io.Copy(conn, stream)
		if half, ok := conn.(interface{ CloseWrite() error }); ok && err == nil {
			_ = half.CloseWrite() // if this fails, the other direction fails, too
		}
	}()
	_, err := io.Copy(stream, conn)
	_ = stream.Close() // the client learns that no more output comes, and may still send
	if err == nil {
		<-sent
	}
}
