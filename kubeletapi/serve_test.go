package kubeletapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// running is a server on a port of 127.0.0.1.
type running struct {
	url    string
	roots  *authority.Authority // of its certificate
	server *Server
	stop   func() // shuts the server down and waits until it has ended
}

func runServer(t *testing.T, signer *authority.Authority, change func(*Config)) *running {
	t.Helper()
	certificate := signer.Sign(t, x509.ExtKeyUsageServerAuth, "node")
	s := newServer(t, func(c *Config) {
		c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil }
		if change != nil {
			change(c)
		}
	})
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
	t.Cleanup(stop)
	return &running{url: "https://" + listener.Addr().String(), roots: signer, server: s, stop: stop}
}

// client is a client that trusts the server. It shows the certificate, if that is not nil.
func (r *running) client(t *testing.T, http2 bool, certificate *tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: r.roots.Pool()}
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

func (r *running) get(t *testing.T, client *http.Client, path string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User", "jo")
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// lines is a log. Its lines are sent to next, until next is closed or the reader ends.
type lines struct {
	next  chan string
	ended chan error // receives the error of each follower
}

func newLines() *lines {
	return &lines{next: make(chan string), ended: make(chan error, 100)}
}

func (l *lines) ContainerLogs(ctx context.Context, _, _, _ string, _ *corev1.PodLogOptions, w io.Writer) (err error) {
	defer func() { l.ended <- err }()
	if _, err := w.Write(nil); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line, open := <-l.next:
			if !open {
				return nil
			}
			if line == "panic" {
				panic("in the middle")
			}
			if line == "fail" {
				return errors.New("disk on fire")
			}
			if _, err := io.WriteString(w, line+"\n"); err != nil {
				return err
			}
		}
	}
}

func eachProtocol(t *testing.T, test func(t *testing.T, http2 bool)) {
	t.Run("HTTP/1.1", func(t *testing.T) { test(t, false) })
	t.Run("HTTP/2", func(t *testing.T) { test(t, true) })
}

func TestFollowComesLineByLine(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		log := newLines()
		server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Logs = log })
		answer := server.get(t, server.client(t, http2, nil), "/containerLogs/ns/p/c?follow=true")
		if got := answer.ProtoMajor == 2; got != http2 {
			t.Fatalf("served over %s", answer.Proto)
		}
		reader := bufio.NewReader(answer.Body)
		for n := range 5 {
			want := fmt.Sprintf("line %d", n)
			log.next <- want // the next line is sent after this one has been read
			line, err := reader.ReadString('\n')
			if err != nil || line != want+"\n" {
				t.Fatalf("read %q, %v; want %q", line, err, want)
			}
		}
		close(log.next)
		if rest, err := io.ReadAll(reader); err != nil || len(rest) != 0 {
			t.Errorf("at the end: %q, %v", rest, err)
		}
	})
}

func TestFollowEndsWhenTheClientGoes(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		log := newLines()
		server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Logs = log })
		answer := server.get(t, server.client(t, http2, nil), "/containerLogs/ns/p/c?follow=true")
		_ = answer.Body.Close()
		select {
		case err := <-log.ended:
			if err == nil {
				t.Error("the follower ended without a reason")
			}
		case <-time.After(time.Minute):
			t.Fatal("the follower goes on a minute after its client went")
		}
	})
}

// When the server ends, followers go on for a while. Then they end in an orderly way.
func TestShutdownLetsFollowersFinish(t *testing.T) {
	eachProtocol(t, func(t *testing.T, http2 bool) {
		log := newLines()
		bounds := defaultLimits
		bounds.finish = 2 * time.Second
		server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Logs, c.limits = log, bounds })
		var answers []*http.Response
		for range 3 {
			answer := server.get(t, server.client(t, http2, nil), "/containerLogs/ns/p/c?follow=true")
			log.next <- "line"
			answers = append(answers, answer)
		}
		began := time.Now()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			server.stop()
		}()
		testnode.Eventually(t, func() error {
			conn, err := net.Dial("tcp", strings.TrimPrefix(server.url, "https://"))
			if err == nil {
				_ = conn.Close()
				return errors.New("it takes connections in its last seconds")
			}
			return nil
		})
		for range 3 {
			log.next <- "last"
		}
		<-stopped
		if took := time.Since(began); took > bounds.finish+bounds.end-time.Second {
			t.Errorf("the shutdown took %v", took)
		}
		all := ""
		for _, answer := range answers {
			text, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Errorf("the log did not end cleanly: %v", err)
			}
			all += string(text)
		}
		if strings.Count(all, "line\n") != 3 || strings.Count(all, "last\n") != 3 {
			t.Errorf("read %q", all)
		}
	})
}

// A server without requests ends immediately.
func TestShutdownWithoutRequests(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), nil)
	client := server.client(t, true, nil)
	if answer := server.get(t, client, "/healthz"); answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	began := time.Now()
	server.stop()
	if took := time.Since(began); took > defaultLimits.finish-time.Second {
		t.Errorf("the shutdown took %v", took)
	}
}

// A log that breaks off must not look complete to the client.
func TestBrokenLogIsCutOff(t *testing.T) {
	for _, how := range []string{"fail", "panic"} {
		t.Run(how, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, http2 bool) {
				log := newLines()
				server := runServer(t, authority.New(t, "ca"), func(c *Config) { c.Logs = log })
				client := server.client(t, http2, nil)
				answer := server.get(t, client, "/containerLogs/ns/p/c?follow=true")
				log.next <- "line"
				log.next <- how
				text, err := io.ReadAll(answer.Body)
				if err == nil || string(text) != "line\n" {
					t.Errorf("read %q, %v; want the line and an error", text, err)
				}
				if answer := server.get(t, client, "/healthz"); answer.StatusCode != http.StatusOK {
					t.Errorf("afterwards: %s", answer.Status)
				}
			})
		})
	}
}

// docs/security.md: "TLS 1.2 with suites that have forward secrecy, and 1.3".
func TestServeWantsModernTLS(t *testing.T) {
	server := runServer(t, authority.New(t, "ca"), nil)
	config := &tls.Config{RootCAs: server.roots.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(server.url, "https://"), config)
	if err == nil {
		_ = conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestListenSaysWhatToDo(t *testing.T) {
	taken, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	tests := []struct {
		addr string
		say  []string
	}{
		{"127.0.0.1:" + port, []string{"port " + port, "in use", "--port"}},
		{"127.0.0.1", []string{"127.0.0.1", "port"}},
		{"127.0.0.1:99999", []string{"99999", "--port"}},
		{"192.0.2.1:0", []string{"192.0.2.1", "does not belong to this machine", "--addr"}},
	}
	for _, test := range tests {
		listener, err := Listen(t.Context(), test.addr)
		if err == nil {
			_ = listener.Close()
			t.Errorf("%s: no error", test.addr)
			continue
		}
		for _, word := range test.say {
			if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %q does not say %q in one line", test.addr, err, word)
			}
		}
	}
}
