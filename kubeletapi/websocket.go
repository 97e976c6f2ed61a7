package kubeletapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	remote "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	utilexec "k8s.io/utils/exec"
)

// FeatureWebSockets is a feature of Kubernetes. API servers pass WebSocket clients of exec, attach
// and port-forward on unchanged to nodes that declare it. For other nodes they translate the
// protocol.
const FeatureWebSockets = "ExtendWebSocketsToKubelet"

// streamCall is exec or attach, after its streams are connected.
type streamCall = func(ctx context.Context, in io.Reader, out, errOut io.WriteCloser, resize <-chan remotecommand.TerminalSize) error

// serveStreams serves exec and attach. With the fifth version of their protocol it serves call.
// With other versions it serves older, which does the same with the protocols of cri-streaming.
func (s *Server) serveStreams(w http.ResponseWriter, r *http.Request, opts *remotecommand.Options, call streamCall, older http.HandlerFunc) {
	s.upgraded(w, r, func(w http.ResponseWriter, r *http.Request) {
		if wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {
			s.serveV5(w, r, opts, call)
			return
		}
		older(w, r)
	})
}

// serveV5 serves the fifth version of the protocol. In this version a client can end its input over
// WebSocket, too.
func (s *Server) serveV5(w http.ResponseWriter, r *http.Request, opts *remotecommand.Options, call streamCall) {
	channels := []wsstream.ChannelType{
		remote.StreamStdIn:  channel(opts.Stdin, wsstream.ReadChannel),
		remote.StreamStdOut: channel(opts.Stdout, wsstream.WriteChannel),
		remote.StreamStdErr: channel(opts.Stderr, wsstream.WriteChannel),
		remote.StreamErr:    wsstream.WriteChannel,
		remote.StreamResize: wsstream.IgnoreChannel,
	}
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{remote.StreamProtocolV5Name: {Binary: true, Channels: channels}})
	conn.SetIdleTimeout(s.config.StreamIdleTimeout)
	_, streams, err := conn.Open(w, r)
	if err != nil {
		return // the client has got an answer
	}
	defer conn.Close() //nolint:errcheck // an error means that the client has closed its connection
	// An empty message tells the client that it is connected.
	if _, err := streams[remote.StreamErr].Write(nil); err != nil {
		return
	}
	err = call(r.Context(), streams[remote.StreamStdIn], streams[remote.StreamStdOut], streams[remote.StreamStdErr], nil)
	text, err := json.Marshal(statusOf(err))
	if err == nil {
		_, _ = streams[remote.StreamErr].Write(text) // an error means that the client has closed its connection
	}
}

func channel(wanted bool, kind wsstream.ChannelType) wsstream.ChannelType {
	if wanted {
		return kind
	}
	return wsstream.IgnoreChannel
}

// statusOf is the result of a call, in the form of the protocol.
func statusOf(err error) metav1.Status {
	if err == nil {
		return metav1.Status{Status: metav1.StatusSuccess}
	}
	if exit := (utilexec.CodeExitError{}); errors.As(err, &exit) {
		return metav1.Status{
			Status:  metav1.StatusFailure,
			Reason:  remote.NonZeroExitCodeReason,
			Message: fmt.Sprintf("command terminated with non-zero exit code: %v", err),
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: remote.ExitCodeCauseType, Message: fmt.Sprint(exit.Code)}}},
		}
	}
	return apierrors.NewInternalError(err).Status()
}

// tunnelled is the writer of a request that came through a WebSocket and is served as if it had
// asked for SPDY. The answer that changes the protocol must go through the connection.
type tunnelled struct{ http.ResponseWriter }

// WriteHeader keeps back the answer that Hijack writes.
func (t tunnelled) WriteHeader(code int) {
	if code != http.StatusSwitchingProtocols {
		t.ResponseWriter.WriteHeader(code)
	}
}

// Hijack implements http.Hijacker.
func (t tunnelled) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, _, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	answer := http.Response{StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: t.Header()}
	if err := answer.Write(conn); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, bufio.NewReadWriter(bufio.NewReaderSize(conn, streamBuffer), bufio.NewWriter(conn)), nil
}
