package kubeletapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Logs reads the logs of containers.
type Logs interface {
	// ContainerLogs writes the log that opts asks for to w, and returns nil at its end. With
	// opts.Follow that is when the container or ctx has ended; if ctx has, it may return ctx's
	// error. It must follow all of opts. The values of opts are valid, and its Stream is never nil.
	// The callee may change opts.
	//
	// An error before the first Write becomes the HTTP answer: the code and the
	// message of an apierrors.APIStatus (NotFound, BadRequest, ...), 500 for any
	// other. An error after it cuts the answer short.
	//
	// Each Write goes to the client immediately, and blocks while the client does not read. An
	// empty Write tells the client that the log exists, before there is a line. An error of Write
	// means that the client has closed the connection.
	ContainerLogs(ctx context.Context, namespace, pod, container string, opts *corev1.PodLogOptions, w io.Writer) error
}

func (s *Server) containerLogs(w http.ResponseWriter, r *http.Request) {
	opts, err := parseLogOptions(r.URL.Query())
	if err != nil {
		writeError(w, err)
		return
	}
	if !s.readers.take() {
		w.Header().Set("Retry-After", retryAfter)
		writeError(w, apierrors.NewTooManyRequests(fmt.Sprintf("this node serves %d logs at a time, and no more", s.readers.most()), 1))
		return
	}
	defer s.readers.give()
	namespace, pod, container := r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("container")
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	stream := &stream{w: w, control: http.NewResponseController(w), stall: s.config.limits.stall}
	err = s.config.Logs.ContainerLogs(r.Context(), namespace, pod, container, opts, stream)
	switch {
	case err == nil:
	case !stream.begun:
		if r.Context().Err() != nil { // the client has closed its connection, or the agent ends
			err = apierrors.NewServiceUnavailable("the node's agent is shutting down")
		}
		writeError(w, err)
	case r.Context().Err() != nil || stream.failed:
		// This is an orderly end: the client has closed its connection, or the agent ends.
	default:
		s.config.Log.Warn("a container's log broke off", zap.String("namespace", namespace), zap.String("pod", pod),
			zap.String("container", container), zap.Error(err))
		panic(http.ErrAbortHandler) // else the client would think that the log is complete
	}
}

// stream sends each write immediately, and fails if the client does not take it in time.
type stream struct {
	w             io.Writer
	control       *http.ResponseController
	stall         time.Duration
	begun, failed bool
}

func (s *stream) Write(p []byte) (int, error) {
	s.begun = true
	// The deadline must be removed afterwards. Else it would end an HTTP/2 stream that is idle.
	_ = s.control.SetWriteDeadline(time.Now().Add(s.stall))
	n, err := s.w.Write(p)
	if err == nil {
		err = s.control.Flush()
	}
	_ = s.control.SetWriteDeadline(time.Time{})
	s.failed = s.failed || err != nil
	return n, err
}

// writeError answers with the code and the text of err. The text is plain, because the API server
// passes it on to kubectl.
func writeError(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if status := apierrors.APIStatus(nil); errors.As(err, &status) && status.Status().Code >= 400 {
		code = int(status.Status().Code)
	}
	http.Error(w, err.Error(), code)
}
