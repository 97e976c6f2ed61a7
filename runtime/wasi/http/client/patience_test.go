package client

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// TestPatience follows the times of requests: a server has its time for what it got, and the guest
// has all time for what it sends.
func TestPatience(t *testing.T) {
	const d = time.Minute
	times := Timeouts{Connect: d, FirstByte: 2 * d, BetweenBytes: 3 * d}
	for name, test := range map[string]struct {
		steps func(p *patience, body io.WriteCloser, read func())
		want  error
	}{
		"connects": {func(p *patience, _ io.WriteCloser, _ func()) {
			p.start(p.Connect, ConnectionTimeout)
			time.Sleep(d + 1)
		}, &Error{Code: ConnectionTimeout}},
		"looks up": {func(p *patience, _ io.WriteCloser, _ func()) {
			p.start(p.Connect, ConnectionTimeout)
			p.lookingUp.Store(true)
			time.Sleep(d + 1)
		}, &Error{Code: DNSTimeout}},
		"the guest sends slowly": {func(p *patience, body io.WriteCloser, read func()) {
			p.start(p.Connect, ConnectionTimeout)
			p.sends(ConnectionWriteTimeout)
			for range 5 {
				go func() {
					time.Sleep(10 * d)
					_, _ = io.WriteString(body, "a")
				}()
				read()
				time.Sleep(d)
			}
		}, nil},
		"the server takes nothing": {func(p *patience, body io.WriteCloser, read func()) {
			go func() { _, _ = io.WriteString(body, "a") }()
			read()
			time.Sleep(2*d + 1)
		}, &Error{Code: ConnectionWriteTimeout}},
		"the server says nothing": {func(p *patience, body io.WriteCloser, read func()) {
			go func() { _ = body.Close() }()
			read()
			p.sends(ConnectionReadTimeout)
			time.Sleep(2*d + 1)
		}, &Error{Code: ConnectionReadTimeout}},
		"the server has answered": {func(p *patience, body io.WriteCloser, read func()) {
			p.answers()
			go func() { _, _ = io.WriteString(body, "a") }()
			read()
			time.Sleep(10 * d)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				p := &patience{Timeouts: times, cancel: cancel}
				r, w := io.Pipe()
				u := &upload{r, p}
				test.steps(p, w, func() { _, _ = u.Read(make([]byte, 1)) })
				synctest.Wait()
				var got, want *Error
				if cause := context.Cause(ctx); (cause == nil) != (test.want == nil) ||
					cause != nil && (!errors.As(cause, &got) || !errors.As(test.want, &want) || got.Code != want.Code) {
					t.Errorf("the request has ended with %v, want %v", cause, test.want)
				}
				p.stop()
			})
		})
	}
}

// TestDefaultTimeouts: without a time-out a request ends, too.
func TestDefaultTimeouts(t *testing.T) {
	got := Timeouts{FirstByte: time.Second}.orDefault()
	if got != (Timeouts{DefaultTimeout, time.Second, DefaultTimeout}) {
		t.Errorf("the time-outs are %v", got)
	}
}
