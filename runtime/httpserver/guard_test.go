package httpserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// framing has requests that a guard lets through, with how many there are, and such that it
// refuses.
var framing = []struct {
	name string
	sent string
	good int // -1: refused
}{
	{"nothing", "", 0},
	{"a request", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1},
	{"two at once", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2},
	{"a body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2},
	{"chunks", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2},
	{"chunks with trailers", "POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding:CHUNKED\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n", 1},
	{"an empty line before", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2},
	{"length and coding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", -1},
	{"coding and length", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", -1},
	{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", -1},
	{"two equal lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", -1},
	{"a list of lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", -1},
	{"a signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", -1},
	{"an empty length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", -1},
	{"a huge length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", -1},
	{"two codings", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", -1},
	{"a coding of HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", -1},
	{"a folded line", "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", -1},
	{"a folded coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", -1},
	{"a space before the colon", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", -1},
	{"a tab before the colon", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length\t: 3\r\n\r\nabc", -1},
	{"no colon", "GET / HTTP/1.1\r\nHost: a\r\nA\r\n\r\n", -1},
	{"no name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", -1},
	{"a bare LF", "GET / HTTP/1.1\nHost: a\n\n", -1},
	{"a bare LF at the end of the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", -1},
	{"a bare CR", "GET / HTTP/1.1\r\nHost: a\r\nA: b\rContent-Length: 3\r\n\r\n", -1},
	{"a zero byte", "GET / HTTP/1.1\r\nHost: a\x00\r\n\r\n", -1},
	{"a bare LF after a size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", -1},
	{"a bare LF in an extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;\nabc\r\n0\r\n\r\n", -1},
	{"a space after a size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n", -1},
	{"a size with 0x", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", -1},
	{"no size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\nabc\r\n0\r\n\r\n", -1},
	{"a huge size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", -1},
	{"a chunk that is longer than its size", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", -1},
	{"a long extension", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 600) + "\r\n", -1},
	{"a long extension without end", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 600), -1},
	{"HTTP/0.9", "GET /\r\n", -1},
	{"HTTP/3", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", -1},
	{"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", -1},
	{"HTTP/2 after HTTP/1", "GET / HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\n", -1},
}

// feed gives a guard the bytes in pieces, and returns those that it lets through.
func feed(sent []byte, piece int) (good []byte, g *guard) {
	g = &guard{plain: true, most: 1 << 16}
	for at := 0; at < len(sent); at += piece {
		p := sent[at:min(at+piece, len(sent))]
		good = append(good, p[:g.scan(p)]...)
		if g.err != nil {
			return good, g
		}
	}
	return good, g
}

func TestGuard(t *testing.T) {
	for _, test := range framing {
		for _, piece := range []int{1, 2, 7, 1 << 20} {
			good, g := feed([]byte(test.sent), piece)
			switch {
			case test.good < 0 && !errors.Is(g.err, errFraming):
				t.Errorf("%s, in pieces of %d: it is let through", test.name, piece)
			case test.good < 0 && piece > len(test.sent) && len(good) > strings.LastIndex(test.sent, "\r\n\r\nPRI")+4 && !strings.Contains(test.sent, "\r\n\r\n"):
				t.Errorf("%s: %d bytes of it are let through", test.name, len(good))
			case test.good >= 0 && (g.err != nil || !g.between()):
				t.Errorf("%s, in pieces of %d: %v, state %d", test.name, piece, g.err, g.state)
			case test.good >= 0 && len(requests(t, good)) != test.good:
				t.Errorf("%s: %d requests, want %d", test.name, len(requests(t, good)), test.good)
			}
		}
	}
}

// requests are the bodies of all requests, as net/http reads them.
func requests(t *testing.T, sent []byte) (bodies []string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(sent))
	for {
		for next, err := r.Peek(2); err == nil && string(next) == "\r\n"; next, err = r.Peek(2) {
			_, _ = r.Discard(2)
		}
		request, err := http.ReadRequest(r)
		if err != nil {
			return bodies
		}
		text, err := io.ReadAll(request.Body)
		if err != nil {
			return bodies
		}
		bodies = append(bodies, string(text))
	}
}

// ends counts the messages that a guard sees end.
func ends(sent []byte) (n int, g *guard) {
	g = &guard{plain: true, most: 1 << 16}
	open := false
	for i := range sent {
		g.scan(sent[i : i+1])
		if g.err != nil || g.state == passing {
			return n, g
		}
		if open && g.between() {
			n++
		}
		open = !g.between() && g.some && (g.state != requestLine || len(g.partial) > 0)
	}
	return n, g
}

// FuzzGuard holds a guard to net/http: it sees at least the requests that the guard sees, unless it
// refuses one of them, and the pieces in which bytes come make no difference.
func FuzzGuard(f *testing.F) {
	for _, test := range framing {
		f.Add([]byte(test.sent), 3)
	}
	f.Fuzz(func(t *testing.T, sent []byte, piece int) {
		if piece < 1 || piece > 1<<14 || len(sent) > 1<<14 {
			return
		}
		_, all := feed(sent, len(sent)+1)
		_, some := feed(sent, piece)
		if (all.err == nil) != (some.err == nil) || all.err == nil && all.state != some.state {
			t.Fatalf("at once: %v, state %d; in pieces of %d: %v, state %d", all.err, all.state, piece, some.err, some.state)
		}
		seen, g := ends(sent)
		if g.err != nil || g.state == passing {
			return
		}
		if read := len(requests(t, sent)); read > seen && g.between() {
			t.Fatalf("net/http reads %d requests, the guard sees %d", read, seen)
		}
	})
}
