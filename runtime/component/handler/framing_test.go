package handler

import (
	"bufio"
	"io"
	"net"
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// send has a guest's answer sent to a client, and returns what that gets.
func send(t *testing.T, body string, trailers ...http.Field) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &nethttp.Server{Handler: nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		s := &session{pool: &Pool{}, w: w, r: r, control: nethttp.NewResponseController(w)}
		s.fill()
		if err := s.exchange.Respond(http.Head{Status: 200}); err != nil {
			t.Error(err)
		}
		if _, err := s.answer.Write([]byte(body)); err != nil {
			t.Error(err)
		}
		s.answer.End(trailers, nil)
		s.send()
	})}
	defer func() { _ = server.Close() }()
	go func() { _ = server.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	all, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		t.Error(err)
	}
	return strings.ToLower(string(all))
}

func field(name, value string) http.Field { return http.Field{A: name, B: []byte(value)} }

// TestTrailersFrameNothing has a guest give trailers that a proxy could take for headers.
func TestTrailersFrameNothing(t *testing.T) {
	got := send(t, "hello", field("Content-Length", "99"), field("content-type", "text/html"),
		field("Authorization", "x"), field("trailer", "x"), field("x-end", "well"))
	_, trailers, _ := strings.Cut(got, "hello\r\n0\r\n")
	if want := "x-end: well\r\n\r\n"; trailers != want {
		t.Errorf("the trailers are %q, not %q", trailers, want)
	}
}
