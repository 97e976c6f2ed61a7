package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
)

// response is what a service has to answer.
type response struct {
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    *string           `json:"body"`
}

// maxAnswer bounds how much of an answer is read.
const maxAnswer = 16 << 20

// request sends a request to a service, and compares its answer. The service names its address in
// the first line of its standard error.
func (p *process) request(ctx context.Context, o operation) error {
	address := strings.TrimSpace(p.stderr.line())
	if !strings.HasPrefix(address, "http://") {
		return fmt.Errorf("the service names no address: %s", tail(address))
	}
	r, err := http.NewRequestWithContext(ctx, o.Method, address+o.Path, strings.NewReader(o.Body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	for name, value := range o.Headers {
		r.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("asking the service: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return o.Response.compare(answer, string(body))
}

func (want response) compare(got *http.Response, body string) error {
	if got.StatusCode != want.Status {
		return fmt.Errorf("status %d, want %d", got.StatusCode, want.Status)
	}
	for name, value := range want.Headers {
		if has := got.Header.Get(name); has != value {
			return fmt.Errorf("header %s is %q, want %q", name, has, value)
		}
	}
	if want.Body != nil && body != *want.Body {
		return fmt.Errorf("body %q, want %q", body, *want.Body)
	}
	return nil
}

// signal tells a program to end.
func (p *process) signal(name string) error {
	signals := map[string]syscall.Signal{"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM, "SIGKILL": syscall.SIGKILL}
	s, ok := signals[name]
	if !ok {
		return fmt.Errorf("signal %q is not known", name)
	}
	p.signalled = true
	return p.cmd.Process.Signal(s)
}

// line is the first line, or what there is of it if the stream ends before.
func (o *output) line() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		if first, _, whole := bytes.Cut(o.bytes, []byte{'\n'}); whole || o.ended {
			return string(first)
		}
		o.more.Wait()
	}
}
