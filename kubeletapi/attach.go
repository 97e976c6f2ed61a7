package kubeletapi

import (
	"context"
	"errors"
	"io"
	"net/http"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// Attaches connects clients to containers that run.
type Attaches interface {
	// Attach finds a container that runs. It returns a function that connects streams to it, in
	// addition to those that are already connected. uid is empty, or the pod's. An error becomes
	// the HTTP answer, as with Logs.
	//
	// attach returns nil when the run has ended and all its output is written. An error goes to the
	// user. A stream is nil if the client does not have it. When ctx ends, attach returns soon, as
	// a Command does, and the container goes on.
	Attach(namespace, pod, uid, container string) (attach Attachment, err error)
}

// Attachment is what Attaches.Attach returns.
type Attachment = func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) error

func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	opts, err := parseStreams(r.URL.Query())
	if err != nil {
		writeStatus(w, err)
		return
	}
	to := containerOf(r)
	attach, err := s.config.Attaches.Attach(to.namespace, to.pod, to.uid, to.container)
	if err != nil {
		writeStatus(w, err)
		return
	}
	a := attacher{attach, opts}
	s.serveStreams(w, r, opts, a.serve, func(w http.ResponseWriter, r *http.Request) {
		remotecommand.ServeAttach(w, r, a, to.pod, to.uid, to.container, opts,
			s.config.StreamIdleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	})
}

// attacher connects a container to the streams of a connection.
type attacher struct {
	attach Attachment
	opts   *remotecommand.Options
}

// AttachContainer implements remotecommand.Attacher.
func (a attacher) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, errOut io.WriteCloser,
	_ bool, resize <-chan remotecommand.TerminalSize,
) error {
	return a.serve(ctx, in, out, errOut, resize)
}

func (a attacher) serve(ctx context.Context, in io.Reader, out, errOut io.WriteCloser, resize <-chan remotecommand.TerminalSize) error {
	t := newTerminal(ctx, a.opts, in, out, errOut, resize)
	err := a.attach(t.ctx, t.in, t.out, t.err)
	t.close()
	if t.interrupted() {
		return nil // the user wants to leave, and the container must go on
	}
	return failureOf(ctx, err)
}

// failureOf is the error that the client gets for the error of a call. ctx was the context of the
// call.
func failureOf(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errClientGone):
		return nil // the client has closed its connection
	case err != nil && ctx.Err() != nil:
		return errShutdown()
	}
	return err
}
