package kubeletapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

// Execs runs commands in containers.
type Execs interface {
	// Exec finds a container that runs and returns what runs argv in it. uid is empty, or the pod's. An error becomes the
	// HTTP answer, as with Logs.
	//
	// run waits for the command's end and returns its exit code; the error is why it could not be run, and goes
	// to the user. The streams are nil where the client has none. The command reads stdin up to its end, and is held
	// back while an output is not read. When ctx ends the command is killed, and run returns soon, though a Read of
	// stdin or a Write may still be under way: they end when the connection does.
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
		writeError(w, err)
		return
	}
	to := containerOf(r)
	run, err := s.config.Execs.Exec(to.namespace, to.pod, to.uid, to.container, argv)
	if err != nil {
		writeError(w, err)
		return
	}
	s.upgraded(w, r, func(w http.ResponseWriter, r *http.Request) {
		remotecommand.ServeExec(w, r, executor{run, opts}, to.pod, to.uid, to.container, argv, opts,
			s.config.StreamIdleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	})
}

// container is what the path of a request names.
type container struct{ namespace, pod, uid, container string }

func containerOf(r *http.Request) container {
	return container{r.PathValue("namespace"), r.PathValue("pod"), r.PathValue("uid"), r.PathValue("container")}
}

// executor runs a command on the streams of a connection.
type executor struct {
	run  Command
	opts *remotecommand.Options
}

// ExecInContainer implements remotecommand.Executor.
func (e executor) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, errOut io.WriteCloser,
	_ bool, resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	t := newTerminal(ctx, e.opts, in, out, errOut, resize)
	code, err := e.run(t.ctx, t.in, t.out, t.err)
	t.close()
	switch {
	case errors.Is(context.Cause(ctx), errClientGone):
		return nil // nobody hears of it any more
	case err != nil && ctx.Err() != nil:
		return errShutdown()
	case err != nil:
		return err
	case code != 0:
		return utilexec.CodeExitError{Err: fmt.Errorf("exit code %d", code), Code: code}
	}
	return nil
}

// terminal is the client's end of a guest's streams. WASI has no terminals, so of a client that shows its user one only
// the streams are taken: both outputs go to the one that it has, and its size goes nowhere.
type terminal struct {
	ctx      context.Context //nolint:containedctx // that of one call, made and ended in it
	in       io.Reader
	out, err io.Writer
	outputs  []io.Closer

	end  context.CancelFunc
	work sync.WaitGroup
}

func newTerminal(ctx context.Context, opts *remotecommand.Options, in io.Reader, out, errOut io.WriteCloser, resize <-chan remotecommand.TerminalSize) *terminal {
	t := &terminal{}
	t.ctx, t.end = context.WithCancel(ctx)
	if opts.Stdin {
		t.in = in
	}
	if opts.Stdout && out != nil {
		t.out, t.outputs = out, append(t.outputs, out)
	}
	switch {
	case opts.TTY:
		t.err = t.out
	case opts.Stderr && errOut != nil:
		t.err, t.outputs = errOut, append(t.outputs, errOut)
	}
	// Sizes that nobody takes would hold back what comes behind them on the connection.
	t.work.Go(func() {
		for {
			select {
			case _, more := <-resize:
				if !more {
					return
				}
			case <-t.ctx.Done():
				return
			}
		}
	})
	return t
}

// close tells the client that its outputs have ended, so that it waits for nothing that is under way.
func (t *terminal) close() {
	t.end()
	t.work.Wait()
	for _, output := range t.outputs {
		_ = output.Close() // a client that has gone
	}
}
