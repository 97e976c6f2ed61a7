package httpserver

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestBoundsOfHeaders(t *testing.T) {
	s := newSite(t, runtime.HTTP{MaxHeader: 8 << 10}, func(http.ResponseWriter, *http.Request) {})
	large := strings.Repeat("a", 9<<10)
	head := func(fields string) string {
		return "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + fields + "\r\n"
	}
	for name, test := range map[string]struct{ sent, want string }{
		"some fields":           {head(strings.Repeat("a: b\r\n", 200)), "HTTP/1.1 200"},
		"many fields":           {head(strings.Repeat("a: b\r\n", 300)), "HTTP/1.1 431"},
		"a large field":         {head("a: " + large + "\r\n"), "HTTP/1.1 431"},
		"a long path":           {"GET /" + large + " HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 431"},
		"a line without an end": {strings.Repeat("a", 1<<18), "HTTP/1.1 431"},
	} {
		for _, encrypted := range []bool{false, true} {
			if got := s.raw(t, encrypted, test.sent); !strings.HasPrefix(got, test.want) {
				t.Errorf("%s (TLS %v): %.60q", name, encrypted, got)
			}
		}
	}
}

func TestSlowAndIdleClientsAreClosed(t *testing.T) {
	s := newSite(t, runtime.HTTP{HeaderTimeout: 200 * time.Millisecond, IdleTimeout: 300 * time.Millisecond}, func(http.ResponseWriter, *http.Request) {})
	for _, encrypted := range []bool{false, true} {
		for _, sent := range []string{
			"", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n",
		} {
			begin := time.Now()
			s.raw(t, encrypted, sent)
			if took := time.Since(begin); took > eventually.Patience/2 {
				t.Errorf("a client that sends %q is closed after %v", sent, took)
			}
		}
	}
	s.addr = s.addrTLS
	if got := s.raw(t, false, "\x16\x03"); got != "" {
		t.Errorf("a handshake that stops is answered %q", got)
	}
	if got := s.raw(t, false, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); strings.Contains(got, "200") {
		t.Errorf("a request without TLS is answered %q", got)
	}
	eventually.True(t, "no connection is left, and it is said", func() bool {
		return s.Stats().Open == 0 && s.said.has(texts[sayHandshake])
	})
}

func TestMaxBody(t *testing.T) {
	s := newSite(t, runtime.HTTP{MaxBody: 10}, func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			_, _ = w.Write(text)
		} else if !errors.Is(err, ErrBodyTooLarge) || len(text) != 10 {
			t.Errorf("%q, %v", text, err)
		}
	})
	for _, p := range protocols {
		client, url := s.client(t, p)
		for _, known := range []bool{true, false} {
			for size, want := range map[int]int{0: 200, 10: 200, 11: 413, 100000: 413} {
				var body io.Reader = strings.NewReader(strings.Repeat("a", size))
				if !known {
					body = struct{ io.Reader }{body}
				}
				answer, err := client.Post(url, "", body)
				if err != nil {
					t.Errorf("%s: %d bytes (length known %v): %v", p.name, size, known, err)
					continue
				}
				text, _ := io.ReadAll(answer.Body)
				if answer.StatusCode != want || want == 200 && len(text) != size {
					t.Errorf("%s: %d bytes (length known %v) are answered %s", p.name, size, known, answer.Status)
				}
			}
		}
	}
}

func TestStalledSendersOfBodies(t *testing.T) {
	s := newSite(t, runtime.HTTP{StallTimeout: time.Second}, func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err == nil {
			_, _ = fmt.Fprint(w, len(text))
		} else if !errors.Is(err, ErrStalled) {
			t.Errorf("%v", err)
		}
	})
	for _, p := range protocols {
		client, url := s.client(t, p)
		body, send := io.Pipe()
		go func() { _, _ = send.Write([]byte("a")) }()
		answer, err := client.Post(url, "", body)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if answer.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%s: a body that stops is answered %s", p.name, answer.Status)
		}
		_ = answer.Body.Close()
		_ = send.Close()
	}
}

func TestSlowReadersOfAnswers(t *testing.T) {
	const size = 32 << 20
	ended := make(chan error, 10)
	s := newSite(t, runtime.HTTP{StallTimeout: time.Second}, func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write(make([]byte, size))
		ended <- err
	})
	for _, p := range protocols {
		client, url := s.client(t, p)
		answer, err := client.Get(url)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		// The whole takes longer than the time-out, but something is always taken.
		got := int64(0)
		tick := time.NewTicker(20 * time.Millisecond)
		for begin := time.Now(); time.Since(begin) < 2*time.Second; <-tick.C {
			n, err := io.CopyN(io.Discard, answer.Body, 200<<10)
			if got += n; err != nil {
				t.Fatalf("%s: a slow client gets %d bytes, and then %v", p.name, got, err)
			}
		}
		tick.Stop()
		rest, err := io.Copy(io.Discard, answer.Body)
		if err != nil || got+rest != size || <-ended != nil {
			t.Errorf("%s: %d bytes, %v", p.name, got+rest, err)
		}
		if answer, err = client.Get(url); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if <-ended == nil {
			t.Errorf("%s: a client that takes nothing is waited for", p.name)
		}
		_ = answer.Body.Close()
	}
}

func TestBoundOfConnections(t *testing.T) {
	block := make(chan struct{})
	s := newSite(t, runtime.HTTP{Connections: 4}, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/block" {
			<-block
		}
	})
	const ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for range 3 { // connections that rest make room
		c := s.dial(t, false)
		_, _ = io.WriteString(c, ask)
		if _, _, err := readAnswer(bufio.NewReader(c)); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		c := s.dial(t, true)
		_, _ = io.WriteString(c, strings.Replace(ask, "GET /", "GET /block", 1))
	}
	eventually.True(t, "four requests are under way", func() bool { return s.Stats().Active == 4 })
	waits := s.dial(t, false) // in the kernel, while all others are busy
	_, _ = io.WriteString(waits, ask)
	if n := s.Stats().Open; n > 6 { // each of two listeners may be one above
		t.Errorf("%d connections are open", n)
	}
	close(block)
	answer, _, err := readAnswer(bufio.NewReader(waits))
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("a connection that waited: %v, %v", answer, err)
	}
}
