package kubeletapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// execFunc is an Execs that runs this function as every command. container is
// NAMESPACE/POD/UID/CONTAINER. The namespace "none" has no containers.
type execFunc func(ctx context.Context, container string, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error)

func (f execFunc) Exec(namespace, pod, uid, container string, argv []string) (Command, error) {
	if namespace == "none" {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), pod)
	}
	return func(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
		return f(ctx, strings.Join([]string{namespace, pod, uid, container}, "/"), argv, stdin, stdout, stderr)
	}, nil
}

// echo prints its container and its arguments, and then its input. Its exit code is the number of
// arguments.
var echo = execFunc(func(_ context.Context, container string, argv []string, stdin io.Reader, stdout, _ io.Writer) (int, error) {
	_, err := fmt.Fprintln(stdout, container, argv)
	if stdin != nil && err == nil {
		_, err = io.Copy(stdout, stdin)
	}
	return len(argv) - 1, err
})

// remote is a client-go executor for a path of the server.
func (r *running) remote(t *testing.T, path string) remotecommand.Executor {
	t.Helper()
	target, err := url.Parse(r.url + path)
	if err != nil {
		t.Fatal(err)
	}
	executor, err := remotecommand.NewSPDYExecutor(r.config(), http.MethodPost, target)
	if err != nil {
		t.Fatal(err)
	}
	return executor
}

// overWebSocket is remote, with the fifth version of the protocol over WebSocket.
func (r *running) overWebSocket(t *testing.T, path string) remotecommand.Executor {
	t.Helper()
	executor, err := remotecommand.NewWebSocketExecutor(r.config(), http.MethodGet, r.url+path)
	if err != nil {
		t.Fatal(err)
	}
	return executor
}

// protocols are the protocols by which a client can use a path.
func (r *running) protocols() map[string]func(*testing.T, string) remotecommand.Executor {
	return map[string]func(*testing.T, string) remotecommand.Executor{"SPDY": r.remote, "WebSocket": r.overWebSocket}
}

func (r *running) config() *rest.Config {
	return &rest.Config{
		Host:            r.url,
		TLSClientConfig: rest.TLSClientConfig{CAData: r.roots.PEM},
		WrapTransport: func(next http.RoundTripper) http.RoundTripper {
			return roundTrip(func(request *http.Request) (*http.Response, error) {
				request.Header.Set("User", "jo")
				return next.RoundTrip(request)
			})
		},
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestExec(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			server := runServer(t, authority.New(t, "ca"), nil)
			remote := server.protocols()[name]
			var stdout, stderr bytes.Buffer
			err := remote(t, "/exec/ns/p/c?command=a&command=b+c&output=1&error=1&input=1").StreamWithContext(t.Context(),
				remotecommand.StreamOptions{Stdin: strings.NewReader("input"), Stdout: &stdout, Stderr: &stderr})
			if exit := (utilexec.CodeExitError{}); !errors.As(err, &exit) || exit.Code != 1 {
				t.Errorf("error %v, want exit code 1", err)
			}
			if got := stdout.String(); got != "ns/p//c [a b c]\ninput" {
				t.Errorf("stdout %q", got)
			}
			if got := stderr.String(); got != "" {
				t.Errorf("stderr %q", got)
			}
			stdout.Reset()
			err = remote(t, "/exec/ns/p/uid/c?command=a&output=1").StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &stdout})
			if err != nil || stdout.String() != "ns/p/uid/c [a]\n" {
				t.Errorf("with a UID: %q, %v", &stdout, err)
			}
			for path, want := range map[string]string{
				"/exec/none/p/c?command=a&output=1": `pods "p" not found`,
				"/exec/ns/p/c?output=1":             "there is no command",
				"/exec/ns/p/c?command=a":            "at least one of",
			} {
				err := remote(t, path).StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: %v, want %q", path, err, want)
				}
			}
		})
	}
}

// TestExecOverHTTP2: HTTP/2 has no upgrades, and the client is told that.
func TestExecOverHTTP2(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), nil)
	answer := server.get(t, server.client(t, true, nil), "/exec/ns/p/c?command=a&output=1")
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.ProtoMajor != 2 || answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "HTTP/1.1") {
		t.Errorf("%s: %d %q, %v", answer.Proto, answer.StatusCode, text, err)
	}
}

// TestExecFailure: the user is told why the command could not be run.
func TestExecFailure(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			server := runServer(t, authority.New(t, "ca"), func(c *Config) {
				c.Execs = execFunc(func(context.Context, string, []string, io.Reader, io.Writer, io.Writer) (int, error) {
					return 0, errors.New("no more room")
				})
			})
			remote := server.protocols()[name]
			err := remote(t, "/exec/ns/p/c?command=a&output=1").StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
			if err == nil || !strings.Contains(err.Error(), "no more room") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// waiting is a command that prints a line and waits until it must end. The channel gets the cause.
func waiting() (execFunc, chan error) {
	ended := make(chan error, 1)
	return func(ctx context.Context, _ string, _ []string, _ io.Reader, stdout, _ io.Writer) (int, error) {
		_, _ = fmt.Fprintln(stdout, "up")
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return 137, ctx.Err()
	}, ended
}

// up closes its channel when something is written to it.
type up struct {
	once sync.Once
	c    chan struct{}
}

func newUp() *up { return &up{c: make(chan struct{})} }

func (u *up) Write(p []byte) (int, error) {
	u.once.Do(func() { close(u.c) })
	return len(p), nil
}

// TestExecClientGone: if the client closes its connection, the command ends, even if it reads and
// writes nothing.
func TestExecClientGone(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			command, ended := waiting()
			server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Execs = command })
			remote := server.protocols()[name]
			ctx, cancel := context.WithCancel(t.Context())
			out := newUp()
			done := make(chan error, 1)
			go func() {
				done <- remote(t, "/exec/ns/p/c?command=a&output=1").StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: out})
			}()
			<-out.c
			cancel()
			if err := <-ended; !errors.Is(err, errClientGone) {
				t.Errorf("the command ended for %v", err)
			}
			<-done
		})
	}
}

// TestExecShutdown: a server that shuts down ends the commands, waits for them, and tells their
// users.
func TestExecShutdown(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			command, ended := waiting()
			server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Execs = command })
			remote := server.protocols()[name]
			out := newUp()
			done := make(chan error, 1)
			go func() {
				done <- remote(t, "/exec/ns/p/c?command=a&output=1").StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: out})
			}()
			<-out.c
			server.stop()
			select {
			case <-ended:
			default:
				t.Error("the server did not wait for the command")
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), "shutting down") {
				t.Errorf("the client was told %v", err)
			}
		})
	}
}

// TestExecIdle: an idle connection is closed, and the command ends.
func TestExecIdle(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			command, ended := waiting()
			server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Execs, c.StreamIdleTimeout = command, 100*time.Millisecond })
			remote := server.protocols()[name]
			// The test does not check which error the client returns.
			_ = remote(t, "/exec/ns/p/c?command=a&output=1").StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
			if err := <-ended; !errors.Is(err, errClientGone) {
				t.Errorf("the command ended for %v", err)
			}
		})
	}
}

// TestExecUnread: the whole output arrives, although the client sends input that the command does
// not read.
func TestExecUnread(t *testing.T) {
	for name := range (&running{}).protocols() {
		t.Run(name, func(t *testing.T) {
			const size = 1 << 20
			server := runServer(t, authority.New(t, "ca"), func(c *Config) {
				c.Execs = execFunc(func(_ context.Context, _ string, _ []string, _ io.Reader, stdout, _ io.Writer) (int, error) {
					n, err := stdout.Write(make([]byte, size))
					return n - size, err
				})
			})
			remote := server.protocols()[name]
			for range 10 {
				var stdout bytes.Buffer
				err := remote(t, "/exec/ns/p/c?command=a&output=1&input=1").StreamWithContext(t.Context(),
					remotecommand.StreamOptions{Stdin: zeros{}, Stdout: &stdout})
				if err != nil || stdout.Len() != size {
					t.Fatalf("%d bytes, %v", stdout.Len(), err)
				}
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
