package kubeletapi

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap/zaptest"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/access"
	"github.com/krustlet-go/krustlet-wasi/kubeletapi/door"
)

// docs/security.md: "A client has 15 seconds for the handshake, for a request's header (64 KiB) and
// for its body (64 KiB) each, 30 seconds
// to say who it is, and 2 minutes between requests".
// docs/security.md: "A client that has died is noticed within a minute over HTTP/2".
// docs/security.md: "Connections are bounded by what is known of their clients"
// docs/security.md: "in their handshake | 1,024", "behind it, of strangers | 256", "of users known
// by a token | 1,024", "of users known by a certificate | 16,384".
func TestLimitsAreAsDocumented(t *testing.T) {
	l := defaultLimits
	if l.header != 15*time.Second || l.body != 15*time.Second || l.strange != 30*time.Second || l.idle != 2*time.Minute || l.pingAfter+l.pingTimeout > time.Minute {
		t.Errorf("%+v", l)
	}
	if maxHeader != 64<<10 || maxBody != 64<<10 || maxStreams != 250 {
		t.Errorf("a header has %d bytes, a body %d, a connection %d streams", maxHeader, maxBody, maxStreams)
	}
	if got, want := door.LimitsFor(1<<20), (door.Limits{Pending: 1024, Strangers: 256, Tokens: 1024, Certified: 16384}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// docs/security.md: "within some minutes over HTTP/1.1".
func TestDeadClientsOverHTTP1(t *testing.T) {
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	mine, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	value := map[int]int{unix.TCP_KEEPIDLE: 0, unix.TCP_KEEPINTVL: 0, unix.TCP_KEEPCNT: 0}
	alive := 0
	if err := raw.Control(func(fd uintptr) {
		for option := range value {
			value[option], err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, option)
		}
		alive, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
	}); err != nil {
		t.Fatal(err)
	}
	if dead := value[unix.TCP_KEEPIDLE] + value[unix.TCP_KEEPINTVL]*value[unix.TCP_KEEPCNT]; alive != 1 || dead < 30 || dead > 300 || err != nil {
		t.Errorf("a dead client is noticed after %d seconds: %v, kept alive: %d, %v", dead, value, alive, err)
	}
}

// agreeing is a client of an API server that allows everything.
func agreeing(t *testing.T) kubernetes.Interface {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"SubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":true}}`)
	}))
	t.Cleanup(api.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: api.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// docs/security.md: "and counts for open connections, too".
func TestClientCACountsForOpenConnections(t *testing.T) {
	first, second, node := authority.New(t, "first"), authority.New(t, "second"), authority.New(t, "node")
	file := filepath.Join(t.TempDir(), "ca.crt")
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	write(first.PEM)
	auth, err := access.New(access.Config{Client: agreeing(t), NodeName: "node", ClientCAFile: file, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := runServer(t, node, func(c *Config) { c.Auth = auth })
	client := server.client(t, false, first.Sign(t, x509.ExtKeyUsageClientAuth, "jo"))
	get := func() int {
		answer := server.get(t, client, "/pods")
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	if code := get(); code != http.StatusOK {
		t.Fatalf("at first: %d", code)
	}
	write(second.PEM)
	if now, _ := server.server.entrance.Load().Counts(); now[door.StateCertified] != 1 {
		t.Errorf("connections: %v", now)
	}
	if code := get(); code != http.StatusUnauthorized {
		t.Errorf("with another authority: %d", code)
	}
}

// A client cannot fill the memory by asking for answers that it does not read, or by sending
// without end.
func TestHTTP2Floods(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), nil)
	for name, frame := range map[string]func(f *http2.Framer, n int) error{
		"pings": func(f *http2.Framer, n int) error { return f.WritePing(false, [8]byte{byte(n), byte(n >> 8)}) },
		"settings": func(f *http2.Framer, _ int) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535})
		},
		"continuations": func(f *http2.Framer, n int) error {
			var block bytes.Buffer
			_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("x", 8<<10), Sensitive: true}) // to memory
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes()})
			}
			return f.WriteContinuation(1, false, block.Bytes())
		},
		"empty continuations": func(f *http2.Framer, n int) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1})
			}
			return f.WriteContinuation(1, false, nil)
		},
		"resets": func(f *http2.Framer, n int) error {
			stream := uint32(2*n + 1)
			if err := send(f, stream, [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "node"}, {":path", "/pods"}}); err != nil {
				return err
			}
			return f.WriteRSTStream(stream, http2.ErrCodeCancel)
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := server.dial(t, "h2")
			if err := conn.SetDeadline(time.Now().Add(3 * time.Second)); err != nil {
				t.Fatal(err)
			}
			framer, _ := openHTTP2(t, conn)
			framer.AllowIllegalWrites = true
			before, sent := heap(), 0
			var err error
			for ; sent < 100_000 && err == nil; sent++ {
				err = frame(framer, sent)
			}
			if grown := heap() - before; grown > 8<<20 {
				t.Errorf("%d MB more are held after %d frames", grown>>20, sent)
			}
			if name == "continuations" && err == nil {
				t.Errorf("a header of %d frames is still read", sent)
			}
			server.healthy(t)
			t.Logf("%d frames, then %v", sent, err)
		})
	}
}

// The number of logs that are read at one time is bounded, and more are refused. So are connections
// to pods' ports.
//
// docs/security.md: "One log or forwarded connection too many is refused".
func TestReadersAreBounded(t *testing.T) {
	log := newLines()
	server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Logs, c.Readers = log, 2 })
	client := server.client(t, true, nil)
	var following []*http.Response
	for range 2 {
		following = append(following, server.get(t, client, "/containerLogs/ns/p/c?follow=true"))
	}
	answer := server.get(t, client, "/containerLogs/ns/p/c")
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusTooManyRequests || answer.Header.Get("Retry-After") == "" || !strings.Contains(string(text), "serves 2 logs") {
		t.Errorf("%s %v %q", answer.Status, answer.Header, text)
	}
	_ = following[0].Body.Close()
	<-log.ended
	again := server.get(t, client, "/containerLogs/ns/p/c?follow=true")
	log.next <- "line" // one of the two followers gets it
	for _, r := range []*http.Response{again, following[1]} {
		if r.StatusCode != http.StatusOK {
			t.Errorf("with a free place: %s", r.Status)
		}
	}
}

func TestForwardsAreBounded(t *testing.T) {
	f := &forwarder{ctx: t.Context(), slots: newSlots(1, 0), dial: nil}
	if !f.slots.take() {
		t.Fatal("none is free")
	}
	err := f.PortForward(t.Context(), "p", "u", 80, nil)
	if err == nil || !strings.Contains(err.Error(), "forwards 1 connections") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
}

// The metrics show the connections at the port.
// docs/security.md: "What there is, and what was refused, is in the
// [metrics](monitoring.md#the-nodes-work-metrics)."
func TestConnectionMetrics(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), nil)
	conn := server.dial(t, "http/1.1")
	if _, err := fmt.Fprint(conn, "GET /pods HTTP/1.1\r\nHost: node\r\nUser: jo\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	plain, err := net.Dial("tcp", strings.TrimPrefix(server.url, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(plain, "this is no TLS at all\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, plain)
	_ = plain.Close()
	page := gathered(t, server.server.Connections())
	for _, want := range []string{
		`krustlet_api_connections{state="token"} 1`, `krustlet_api_connections{state="pending"} 0`, `krustlet_api_connections{state="certified"} 0`,
		`krustlet_api_connections_ended_total{reason="handshake",state="pending"} 1`, `krustlet_api_reviews_refused_total{kind="token"} 0`,
		`krustlet_api_log_readers 0`, `krustlet_api_forwarded_connections 0`,
	} {
		if !strings.Contains(page, want+"\n") {
			t.Errorf("no %s in:\n%s", want, page)
		}
	}
}

// gathered is what a collector collects, in the form that Prometheus reads.
func gathered(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Body.String()
}
