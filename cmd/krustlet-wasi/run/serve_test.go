package run

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

// serving is the program while it serves a handler.
type serving struct {
	t   *testing.T
	url string
	err *bufio.Reader // what it says
	end func(os.Signal) (code int)
}

// serve starts the program and reads its first line, which is the address.
func (r *runner) serve(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	cmd := r.command(ctx, args...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // most tests have waited
	})
	s := &serving{t: t, err: bufio.NewReader(said)}
	s.end = func(by os.Signal) int {
		if by != nil {
			if err := cmd.Process.Signal(by); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = io.Copy(io.Discard, s.err) // until the program has exited
		_ = cmd.Wait()                    // the code says how it ended
		return cmd.ProcessState.ExitCode()
	}
	s.url = strings.TrimSuffix(s.line(), "\n")
	if !strings.HasPrefix(s.url, "http://127.0.0.1:") || strings.HasSuffix(s.url, ":0") {
		t.Fatalf("the first line is %q", s.url)
	}
	return s
}

// line is the next line of standard error.
func (s *serving) line() string {
	s.t.Helper()
	line, err := s.err.ReadString('\n')
	if err != nil {
		s.t.Fatalf("after %q: %v", line, err)
	}
	return line
}

// get asks for a path.
func (s *serving) get(path string) (status int, body string) {
	s.t.Helper()
	return s.getTold(path, func() {})
}

// getTold is get. It calls sent when the request was sent.
func (s *serving) getTold(path string, sent func()) (status int, body string) {
	s.t.Helper()
	ctx := httptrace.WithClientTrace(s.t.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent() }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = got.Body.Close() }() // it was read
	text, err := io.ReadAll(got.Body)
	if err != nil {
		s.t.Error(err)
	}
	return got.StatusCode, string(text)
}

// TestServe: a handler is served at a free port until a signal, which lets requests end within
// --grace.
func TestServe(t *testing.T) {
	for _, version := range []string{"0.2", "0.3"} {
		t.Run(version, func(t *testing.T) {
			r := newRunner(t)
			s := r.serve(t, "--listen=127.0.0.1:0", "--listen=0.0.0.0:0", "--grace=1m", guests.Component(t, "http-kitchen-"+version))
			if second := s.line(); !strings.HasPrefix(second, "http://127.0.0.1:") {
				t.Errorf("the second address is %q", second)
			}
			if status, body := s.get("/hello"); status != 200 || body != "hello\n" {
				t.Errorf("%d %q", status, body)
			}
			if status, _ := s.get("/trap"); status != 500 {
				t.Errorf("a trap answers %d", status)
			}
			if line := s.line(); !strings.HasPrefix(line, "HTTP instance ") || !strings.Contains(line, "unreachable") {
				t.Errorf("it says %q of a trap", line)
			}
			under, sent := make(chan string, 1), make(chan struct{})
			go func() {
				_, body := s.getTold("/sleep500", func() { close(sent) })
				under <- body
			}()
			<-sent
			if code := s.end(syscall.SIGTERM); code != 143 && code != 0 {
				t.Errorf("exit code %d", code)
			}
			if body := <-under; body != "hello\n" {
				t.Errorf("the request under way got %q", body)
			}
			r.checkClean()
		})
	}
}

// TestServeAgain: with --watch, another file is served at the same port as soon as it is there, and
// one that cannot be served is told of.
func TestServeAgain(t *testing.T) {
	r := newRunner(t)
	copyTo := func(from string) {
		t.Helper()
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		r.file("new.wasm", text)
		if err := os.Rename(filepath.Join(r.dir, "new.wasm"), filepath.Join(r.dir, "app.wasm")); err != nil {
			t.Fatal(err)
		}
	}
	copyTo(guests.Component(t, "http-hello-0.2"))
	s := r.serve(t, "--listen=127.0.0.1:0", "--watch", "--timeout=30s", "app.wasm")
	if status, body := s.get("/request"); status != 200 || body != "hello\n" {
		t.Errorf("%d %q", status, body)
	}
	r.file("app.wasm", []byte("no module"))
	if line := s.line(); !strings.Contains(line, "cannot be served") {
		t.Errorf("it says %q", line)
	}
	if status, body := s.get("/"); status != 200 || body != "hello\n" {
		t.Errorf("after a wrong file: %d %q", status, body)
	}
	copyTo(guests.Component(t, "http-kitchen-0.3"))
	if line := s.line(); !strings.Contains(line, "the file has changed and is served") {
		t.Errorf("it says %q", line)
	}
	eventually.True(t, "the new file is served", func() bool {
		status, body := s.get("/count")
		return status == 200 && strings.TrimSpace(body) == "1"
	})
	copyTo(guests.Component(t, "hello-0.2"))
	if line := s.line(); !strings.Contains(line, "cannot be given listening sockets") {
		t.Errorf("of a command it says %q", line)
	}
	if code := s.end(nil); code == 0 {
		t.Errorf("exit code %d", code)
	}

	copyTo(guests.Component(t, "http-hello-0.2"))
	s = r.serve(t, "--listen=127.0.0.1:0", "--watch", "--timeout=500ms", "app.wasm")
	if code := s.end(nil); code != 124 {
		t.Errorf("after --timeout: exit code %d", code)
	}
}

// TestServeWrongly: what a user does wrong has a message.
func TestServeWrongly(t *testing.T) {
	r := newRunner(t)
	hello := guests.Component(t, "http-hello-0.2")
	s := newRunner(t).serve(t, "--listen=127.0.0.1:0", hello) // with files of its own
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{hello}, "--listen"},
		{[]string{"--watch", kitchen(t), "args"}, "--watch"},
		{[]string{"--listen=127.0.0.1:x", hello}, "--listen"},
		{[]string{"--listen=" + strings.TrimPrefix(s.url, "http://"), hello}, strings.TrimPrefix(s.url, "http://")},
	} {
		if got := r.run(c.args...); got.code == 0 || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
	if code := s.end(syscall.SIGINT); code != 130 {
		t.Errorf("exit code %d", code)
	}
}
