package kubeletapi

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// impatient sets limits that are so short that a test can wait for them.
func impatient(c *Config) {
	c.limits = defaultLimits
	c.limits.header, c.limits.body, c.limits.idle, c.limits.stall = time.Second, time.Second, time.Second, time.Second
	c.limits.pingAfter, c.limits.pingTimeout = time.Second, time.Second
	c.limits.finish = 100 * time.Millisecond
}

// dial opens a TLS connection for a protocol, and closes it when the test ends.
func (r *running) dial(t *testing.T, protocol string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(r.url, "https://"), &tls.Config{RootCAs: r.roots.Pool(), NextProtos: []string{protocol}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// healthy checks that the server serves other clients.
func (r *running) healthy(t *testing.T) {
	t.Helper()
	if answer := r.get(t, r.client(t, true, nil), "/healthz"); answer.StatusCode != http.StatusOK {
		t.Errorf("another client is told %s", answer.Status)
	}
}

// A client that stops is cut off, wherever it stops.
//
// docs/security.md: "A client has 15 seconds for the handshake, for a request's header (64 KiB) and
// for its body (64 KiB) each".
func TestClientsThatStopAreCutOff(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), impatient)
	for name, sent := range map[string]string{
		"before a request": "",
		"in its header":    "GET /healthz HTTP/1.1\r\nHost: node\r\nUser: j",
		"in its body":      "PUT /debug/flags/v HTTP/1.1\r\nHost: node\r\nUser: jo\r\nContent-Length: 5\r\n\r\nde",
		"after a request":  "GET /healthz HTTP/1.1\r\nHost: node\r\nUser: jo\r\n\r\n",
		"as a stranger":    "GET /healthz HTTP/1.1\r\nHost: node\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := server.dial(t, "http/1.1")
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				t.Error("the connection is still open")
			}
		})
	}
	t.Run("in the handshake", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.url, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Error("the connection is still open")
		}
	})
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// docs/security.md: "for a request's header (64 KiB)".
func TestHeadersAreBounded(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		server := runServer(t, authority.New(t, "ca"), nil)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.url+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("User", "jo")
		request.Header.Set("Filler", strings.Repeat("x", 2*maxHeader))
		answer, err := server.client(t, http2, nil).Do(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%s", answer.Status)
			}
		}
		server.healthy(t)
	})
}

// Hundreds of idle connections do not keep other clients out.
func TestManyConnections(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), nil)
	for range 300 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(server.url, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	server.healthy(t)
}

// openHTTP2 begins HTTP/2 on a connection by hand, so that the test decides what is read and
// acknowledged. get opens a stream.
func openHTTP2(t *testing.T, conn *tls.Conn) (framer *http2.Framer, get func(stream uint32, path string) error) {
	t.Helper()
	framer = http2.NewFramer(conn, conn)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return framer, func(stream uint32, path string) error {
		var block bytes.Buffer
		header := hpack.NewEncoder(&block)
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "node"}, {":path", path}, {"user", "jo"}} {
			// A field that must not be indexed leaves no state, so each stream can have its own
			// encoder.
			if err := header.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true}); err != nil {
				return err
			}
		}
		return framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
}

// If a client opens and cancels requests without end, the server runs no more handlers for it than
// for others.
//
// docs/security.md: "An HTTP/2 connection has 250 requests at a time, including those that the
// client has cancelled for as long as they are served".
func TestRapidReset(t *testing.T) {
	var handlers, most atomic.Int64
	server := runServer(t, authority.New(t, "ca"), func(c *Config) {
		impatient(c)
		c.Logs = logsFunc(func(ctx context.Context, _ string, _ *corev1.PodLogOptions, w io.Writer) error {
			now := handlers.Add(1)
			defer handlers.Add(-1)
			for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
			}
			_, err := w.Write(nil)
			<-ctx.Done()
			return err
		})
	})
	conn := server.dial(t, "h2")
	framer, get := openHTTP2(t, conn)
	go func() { _, _ = io.Copy(io.Discard, conn) }() // it ends with the connection
	cut := false
	for stream := uint32(1); stream < 20_000 && !cut; stream += 2 {
		err := get(stream, "/containerLogs/ns/p/c?follow")
		if err == nil {
			err = framer.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		cut = err != nil
	}
	if n := most.Load(); n > maxStreams {
		t.Errorf("%d handlers ran at once", n)
	}
	server.healthy(t)
	t.Logf("at most %d handlers; the connection was cut off: %t", most.Load(), cut)
}

// flood is a log that never ends.
var flood = logsFunc(func(ctx context.Context, _ string, _ *corev1.PodLogOptions, w io.Writer) error {
	text := bytes.Repeat([]byte("a line of the log\n"), 3640) // as many bytes as a reader of logs writes at once
	for ctx.Err() == nil {
		if _, err := w.Write(text); err != nil {
			return err
		}
	}
	return ctx.Err()
})

// A client that does not read its log does not fill the memory, and does not delay others. At last
// it is cut off.
//
// docs/security.md: "A client that does not read holds one buffer of 64 KiB, and holds up no other
// client".
func TestReaderThatStalls(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		began, ended := make(chan struct{}, 100), make(chan error, 100)
		server := runServer(t, authority.New(t, "ca"), func(c *Config) {
			impatient(c)
			c.limits.stall, c.limits.pingAfter = 2*time.Second, defaultLimits.pingAfter // the test is about stall, so pings must not end them
			c.Logs = logsFunc(func(ctx context.Context, container string, opts *corev1.PodLogOptions, w io.Writer) error {
				began <- struct{}{}
				err := flood(ctx, container, opts, w)
				ended <- err
				return err
			})
		})
		const readers, stuck = 8, "/containerLogs/ns/stuck/c?follow=true"
		if http2 { // all of them are streams of one connection
			_, get := openHTTP2(t, server.dial(t, "h2"))
			for n := range readers {
				if err := get(uint32(2*n+1), stuck); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			for range readers {
				if _, err := io.WriteString(server.dial(t, "http/1.1"), "GET "+stuck+" HTTP/1.1\r\nHost: node\r\nUser: jo\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range readers {
			<-began
		}
		before := heap()
		reading := server.get(t, server.client(t, http2, nil), "/containerLogs/ns/read/c?follow=true")
		lines := bufio.NewReader(reading.Body)
		for range 100_000 {
			if line, err := lines.ReadString('\n'); err != nil || line != "a line of the log\n" {
				t.Fatalf("another reader gets %q, %v", line, err)
			}
		}
		if grown := heap() - before; grown > 8<<20 {
			t.Errorf("%d MB more are held", grown>>20)
		}
		for range readers {
			select {
			case err := <-ended:
				if err == nil {
					t.Error("the log ended by itself")
				}
			case <-time.After(30 * time.Second):
				t.Fatal("a reader that takes nothing is still served")
			}
		}
	})
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // no heap is that large
}

// The server notices that the machine of a follower has vanished.
//
// docs/security.md: "A client that has died is noticed within a minute over HTTP/2".
func TestDeadFollower(t *testing.T) {
	log := newLines()
	server := runServer(t, authority.New(t, "ca"), func(c *Config) {
		impatient(c)
		c.Logs = log
	})
	conn := server.dial(t, "h2")
	_, get := openHTTP2(t, conn)
	if err := get(1, "/containerLogs/ns/p/c?follow=true"); err != nil {
		t.Fatal(err)
	}
	log.next <- "line" // the follower gets it, and never reads
	select {
	case err := <-log.ended:
		if err == nil {
			t.Error("the follower ended by itself")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("a dead client is still served")
	}
}

// deadlines is an answer that notes the deadline of each write.
type deadlines struct {
	*httptest.ResponseRecorder
	now   time.Time
	under []time.Time
}

func (d *deadlines) SetWriteDeadline(at time.Time) error { d.now = at; return nil }

func (d *deadlines) Write(p []byte) (int, error) {
	d.under = append(d.under, d.now)
	return d.ResponseRecorder.Write(p)
}

// Only writes have deadlines: a log may be quiet for longer than a client may leave a log unread.
func TestDeadlinesAreOfWrites(t *testing.T) {
	s := newServer(t, func(c *Config) {
		c.Logs = logsFunc(func(_ context.Context, _ string, _ *corev1.PodLogOptions, w io.Writer) error {
			for range 2 {
				if _, err := io.WriteString(w, "line\n"); err != nil {
					return err
				}
				if d := w.(*stream).w.(*response).ResponseWriter.(*deadlines); !d.now.IsZero() {
					t.Errorf("between lines there is the deadline %v", d.now)
				}
			}
			return nil
		})
	})
	r := httptest.NewRequest(http.MethodGet, "/containerLogs/ns/p/c", nil)
	r.Header.Set("User", "jo")
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	s.handler.ServeHTTP(w, r)
	if len(w.under) != 2 {
		t.Fatalf("%d writes", len(w.under))
	}
	for _, at := range w.under {
		if left := time.Until(at); left < defaultLimits.stall-time.Minute || left > defaultLimits.stall {
			t.Errorf("a write has until %v", at)
		}
	}
}

// docs/security.md: "TLS 1.2 with suites that have forward secrecy, and 1.3 (`--tls-min-version`,
// `--tls-cipher-suites`)".
func TestSuitesAndVersions(t *testing.T) {
	for _, test := range []struct {
		name   string
		server TLS
		client *tls.Config
		ok     bool
	}{
		{"TLS 1.2", TLS{}, &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.3", TLS{}, &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"1.2 where 1.3 is wanted", TLS{MinVersion: tls.VersionTLS13}, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"1.3 where it is wanted", TLS{MinVersion: tls.VersionTLS13}, &tls.Config{}, true},
		{"a suite without authentication of what it encrypts", TLS{},
			&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		{"a suite that was left out", TLS{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
			&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}}, false},
		{"the suite that was chosen", TLS{CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
			&tls.Config{MaxVersion: tls.VersionTLS12}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.TLS = test.server })
			config := test.client.Clone()
			config.RootCAs = server.roots.Pool()
			conn, err := tls.Dial("tcp", strings.TrimPrefix(server.url, "https://"), config)
			if err == nil {
				_ = conn.Close()
			}
			if (err == nil) != test.ok {
				t.Errorf("%v", err)
			}
		})
	}
}
