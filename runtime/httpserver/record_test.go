package httpserver

import "testing"

// TestLine has a method and a path that would be other fields, or none.
func TestLine(t *testing.T) {
	r := Record{
		Client: "127.0.0.1:5", Method: "GET / HTTP/2.0 200\t5 1ms\x9b2K", Path: "/a\x1b b\xff", Protocol: "HTTP/2.0", Status: 400,
	}
	const want = "127.0.0.1:5 GET%20/%20HTTP/2.0%20200%095%201ms%9B2K /a%1B%20b%FF HTTP/2.0 400 0 0s"
	if line := r.Line(); line != want {
		t.Errorf("the line is %q, not %q", line, want)
	}
}
