package httpserver

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestDrainLosesNoRequest: clients that keep connections ask all the time while the server ends.
// They stop a moment after it has begun, when a router has learned of it.
func TestDrainLosesNoRequest(t *testing.T) {
	for _, p := range protocols {
		s := newSite(t, runtime.HTTP{}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		})
		var clients sync.WaitGroup
		stop := make(chan struct{})
		for range 8 {
			client, url := s.client(t, p)
			clients.Go(func() {
				for i := 0; !closed(stop); i++ {
					want := fmt.Sprint("text ", i)
					answer, err := client.Post(url, "", strings.NewReader(want))
					if err != nil {
						t.Errorf("%s: %v", p.name, err)
						return
					}
					text, err := io.ReadAll(answer.Body)
					if err != nil || string(text) != want {
						t.Errorf("%s: %q, %v", p.name, text, err)
						return
					}
				}
			})
		}
		eventually.True(t, "the server has some load", func() bool { return s.handled.Load() > 200 })
		s.Drain()
		s.Drain() // a second time does nothing
		time.AfterFunc(500*time.Millisecond, func() { close(stop) })
		clients.Wait()
		<-s.Drained()
		s.Close()
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestDrainAnswersOnIdleConnections: a request that was sent before the client could know is
// answered, and the answer says that it is the last one.
func TestDrainAnswersOnIdleConnections(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(http.ResponseWriter, *http.Request) {})
	const ask = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
	asks, rests := s.dial(t, false), s.dial(t, true)
	for _, c := range []io.ReadWriter{asks, rests} {
		_, _ = io.WriteString(c, ask)
		if _, _, err := readAnswer(bufio.NewReader(c)); err != nil {
			t.Fatal(err)
		}
	}
	s.Drain()
	_, _ = io.WriteString(asks, ask)
	answer, _, err := readAnswer(bufio.NewReader(asks))
	if err != nil || !answer.Close {
		t.Errorf("a request after Drain: %v, %v", answer, err)
	}
	if got, err := io.ReadAll(rests); err != nil || len(got) > 0 {
		t.Errorf("a connection that rests gets %q, %v", got, err)
	}
	<-s.Drained()
}

// TestDrainWaitsForRequests: those that are under way, also such whose head is not complete.
func TestDrainWaitsForRequests(t *testing.T) {
	block := make(chan struct{})
	s := newSite(t, runtime.HTTP{}, func(http.ResponseWriter, *http.Request) { <-block })
	busy, half := s.dial(t, false), s.dial(t, false)
	_, _ = io.WriteString(busy, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	_, _ = io.WriteString(half, "GET / HTTP/1.1\r\n")
	eventually.True(t, "a request is under way", func() bool { return s.Stats().Active == 1 && s.Stats().Open == 2 })
	s.Drain()
	eventually.True(t, "the listeners are closed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.listeners) == 0
	})
	select {
	case <-s.Drained():
		t.Error("it is drained while a request is under way")
	default:
	}
	close(block)
	_, _ = io.WriteString(half, "Host: a\r\n\r\n")
	for _, c := range []io.Reader{busy, half} {
		answer, _, err := readAnswer(bufio.NewReader(c))
		if err != nil || !answer.Close {
			t.Errorf("%v, %v", answer, err)
		}
	}
	<-s.Drained()
}

// TestDrainTakesWhatWaits: connections that the kernel has accepted, and the server has not.
func TestDrainTakesWhatWaits(t *testing.T) {
	block := make(chan struct{})
	s := newSite(t, runtime.HTTP{Connections: 1}, func(http.ResponseWriter, *http.Request) { <-block })
	const ask = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	first := s.dial(t, false)
	_, _ = io.WriteString(first, ask)
	eventually.True(t, "a request is under way", func() bool { return s.Stats().Active == 1 })
	all := []io.Reader{first}
	for range 10 {
		c := s.dial(t, false)
		_, _ = io.WriteString(c, ask)
		all = append(all, c)
	}
	s.Drain()
	close(block)
	for i, c := range all {
		if answer, _, err := readAnswer(bufio.NewReader(c)); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("connection %d: %v, %v", i, answer, err)
		}
	}
	<-s.Drained()
}

func TestCertificateIsReadAgain(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(http.ResponseWriter, *http.Request) {})
	serial := func() string {
		c, ok := s.dial(t, true).(*tls.Conn)
		if !ok {
			t.Fatal("no TLS")
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	good, err := os.ReadFile(filepath.Join(s.folder, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(s.folder, "tls.key"), []byte("secret text"))
	eventually.True(t, "the server says that the pair is bad", func() bool {
		if serial() != first {
			t.Fatal("the old certificate is not used")
		}
		return s.said.has("the old one stays")
	})
	writeFile(t, filepath.Join(s.folder, "tls.key"), good)
	writePair(t, s.folder, s.authority.Sign(t, x509.ExtKeyUsageServerAuth, "server"))
	eventually.True(t, "the new certificate is used", func() bool { return serial() != first })
	if s.said.has("secret text") {
		t.Errorf("the server says %q", s.said.all)
	}
}

func TestNewWithoutCertificate(t *testing.T) {
	handler := http.NotFoundHandler()
	folder := t.TempDir()
	if _, err := New(Config{Handler: handler, Settings: runtime.HTTP{Certificate: folder}}); err == nil || !strings.Contains(err.Error(), "tls.crt") {
		t.Errorf("a folder without files: %v", err)
	}
	if _, err := New(Config{Handler: handler, Settings: runtime.HTTP{ListenTLS: []string{"127.0.0.1:0"}}}); err == nil {
		t.Error("no error without a certificate")
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no error without a handler")
	}
}

// TestLinesAreBounded: a client must not fill the log.
func TestLinesAreBounded(t *testing.T) {
	said := &lines{}
	s := &says{to: said.add}
	for range 1000 {
		s.say(sayFraming)
		_, _ = s.Write([]byte("http2: server connection error from a: secret"))
	}
	if len(said.all) != 2 || said.has("secret") {
		t.Errorf("%q", said.all)
	}
	s.mu.Lock()
	s.last[sayFraming] = time.Time{}
	s.mu.Unlock()
	s.say(sayFraming)
	if !said.has("and 999 times since") {
		t.Errorf("%q", said.all)
	}
}
