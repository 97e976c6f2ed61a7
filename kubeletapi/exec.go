package kubeletapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// Execs runs commands in containers.
type Execs interface {
	// Exec finds a container that runs, and returns a function that runs argv in it. uid is empty,
	// or the pod's. An error becomes the HTTP answer, as with Logs.
	//
	// run waits for the command's end and returns its exit code. The error says why the command
	// could not be run, and goes to the user. A stream is nil if the client does not have it. The
	// command reads stdin to its end. It waits while the client does not read an output. When ctx
	// ends, the command is killed and run returns soon. A Read of stdin or a Write may still be
	// under way then. It ends when the connection does.
	Exec(namespace, pod, uid, container string, argv []string) (run Command, err error)
}

// Command is what Execs.Exec returns.
type Command = func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (code int, err error)

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	opts, err := parseStreams(query)
	argv := query["command"]
	if err == nil && len(argv) == 0 {
		err = apierrors.NewBadRequest("there is no command: the query parameter command has it, a parameter for each argument")
	}
	if err != nil {
		writeStatus(w, err)
		return
	}
	to := containerOf(r)
	run, err := s.config.Execs.Exec(to.namespace, to.pod, to.uid, to.container, argv)
	if err != nil {
		writeStatus(w, err)
		return
	}
	e := executor{run, opts}
	s.serveStreams(w, r, opts, e.serve, func(w http.ResponseWriter, r *http.Request) {
		remotecommand.ServeExec(w, r, e, to.pod, to.uid, to.container, argv, opts,
			s.config.StreamIdleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	})
}

// container is the container that the path of a request names.
type container struct{ namespace, pod, uid, container string }

func containerOf(r *http.Request) container {
	return container{r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("uid"), r.PathValue("container")}
}

// codeInterrupted is the exit code of a command that its user interrupted with Ctrl-C. Shells use
// the same.
const codeInterrupted = 130

// executor runs a command on the streams of a connection.
type executor struct {
	run  Command
	opts *remotecommand.Options
}

// ExecInContainer implements remotecommand.Executor.
func (e executor) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, errOut io.WriteCloser,
	_ bool, resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	return e.serve(ctx, in, out, errOut, resize)
}

// serve returns a utilexec.CodeExitError for a command that has failed.
func (e executor) serve(ctx context.Context, in io.Reader, out, errOut io.WriteCloser, resize <-chan remotecommand.TerminalSize) error {
	t := newTerminal(ctx, e.opts, in, out, errOut, resize)
	code, err := e.run(t.ctx, t.in, t.out, t.err)
	t.close()
	if t.interrupted() {
		code, err = codeInterrupted, nil
	}
	if err == nil && code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: code}
	}
	return failureOf(ctx, err)
}
