package httpserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

func TestStreamsBothWays(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, echo)
	for _, p := range protocols {
		client, url := s.client(t, p)
		body, send := io.Pipe()
		request, err := http.NewRequest(http.MethodPost, url+"/a?b", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Trailer = http.Header{"Asked": {"yes"}}
		go func() { _, _ = send.Write([]byte("first")) }()
		answer, err := client.Do(request)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		got := make([]byte, 5)
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != "first" {
			t.Fatalf("%s: %q, %v before the body has ended", p.name, got, err)
		}
		_, _ = send.Write([]byte("second"))
		_ = send.Close()
		rest, err := io.ReadAll(answer.Body)
		if err != nil || string(rest) != "second" || answer.Trailer.Get("Sum") != "11 yes" {
			t.Errorf("%s: %q, %v, trailers %v", p.name, rest, err, answer.Trailer)
		}
		if answer.ProtoMajor == 2 != p.two() || answer.Header.Get("Content-Type") != "" {
			t.Errorf("%s: %s, fields %v", p.name, answer.Proto, answer.Header)
		}
	}
}

func TestInformationalAnswersAndContinue(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Link", "a")
		w.WriteHeader(http.StatusEarlyHints)
		text, _ := io.ReadAll(r.Body)
		_, _ = w.Write(text)
	})
	for _, p := range protocols {
		client, url := s.client(t, p)
		for path, want := range map[string]string{"/yes": "103 100 200 text", "/no": "403 "} {
			got := ""
			trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
				got += fmt.Sprint(code, " ")
				return nil
			}}
			request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodPost, url+path, strings.NewReader("text"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Expect", "100-continue")
			answer, err := client.Do(request)
			if err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			text, _ := io.ReadAll(answer.Body)
			got = strings.Replace(got, "100 103", "103 100", 1) // the order does not matter
			if got += fmt.Sprint(answer.StatusCode, " ", string(text)); got != want {
				t.Errorf("%s: %s is answered %q, want %q", p.name, path, got, want)
			}
		}
	}
}

// raw sends bytes on a connection of its own, and returns all that is answered until it closes.
func (s *site) raw(t *testing.T, encrypted bool, sent string) string {
	t.Helper()
	c := s.dial(t, encrypted)
	_, _ = io.WriteString(c, sent) // the server may have closed
	got, _ := io.ReadAll(c)
	return string(got)
}

func (s *site) dial(t testing.TB, encrypted bool) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	if encrypted {
		c, err = tls.Dial("tcp", s.addrTLS, &tls.Config{RootCAs: s.authority.Pool()})
	} else {
		c, err = net.Dial("tcp", s.addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(eventually.Patience))
	return c
}

func TestBadFramingIsRefusedAndNothingIsSmuggled(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			t.Errorf("%s %s came through", r.Method, r.URL)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "answered")
	})
	for _, encrypted := range []bool{false, true} {
		for _, test := range framing {
			if test.good >= 0 {
				continue
			}
			got := s.raw(t, encrypted, test.sent+"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
			inBody := strings.Contains(test.sent, "chunked\r\n\r\n") && !strings.Contains(test.sent, "Content-Length: 3\r\n\r\n0")
			if strings.Count(got, "HTTP/1.1 200") > 1 || !strings.Contains(got, "HTTP/1.1 400") && !inBody {
				t.Errorf("%s (TLS %v) is answered %q", test.name, encrypted, got)
			}
		}
	}
	eventually.True(t, "the server says it", func() bool { return s.said.has(texts[sayFraming]) })
	if s.said.has("smuggled") {
		t.Error("the server says what a client sent")
	}
}

func TestTargetsAndHosts(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s %s %v", r.Method, r.RequestURI, r.Host, r.Header["Upgrade"])
	})
	const end = " HTTP/1.1\r\nHost: a.b:80\r\nConnection: close\r\n\r\n"
	for sent, want := range map[string]string{
		"GET /a?b=c" + end:                             "GET /a?b=c a.b:80 []",
		"GET http://other/a" + end:                     "GET /a other []",
		"GET HTTP://other?a" + end:                     "GET /?a other []",
		"GET http://other" + end:                       "GET / other []",
		"get /" + end:                                  "get / a.b:80 []",
		"GET ftp://other/" + end:                       "400",
		"GET http://user@other/" + end:                 "400",
		"GET other" + end:                              "400",
		"GET /#a" + end:                                "400",
		"GET /\xc3\xa4" + end:                          "400",
		"GET *" + end:                                  "400",
		"OPTIONS *" + end:                              "200",
		"OPTIONS /" + end:                              "OPTIONS / a.b:80 []",
		"CONNECT a:80" + end:                           "501",
		"TRACE /" + end:                                "405",
		"G(T /" + end:                                  "400",
		"GET / HTTP/1.1\r\n\r\n":                       "400",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n": "400",
		"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n":          "400",
		"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n":          "400",
		"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n":      "400",
		"GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: close\r\n\r\n": "GET / [::1]:80 []",
		"GET / HTTP/1.0\r\n\r\n": "GET /  []",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n": "GET / a []",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n":                         "501",
		"GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n":                                  "417",
	} {
		got := s.raw(t, false, sent)
		status, body, _ := strings.Cut(got, "\r\n\r\n")
		if !strings.Contains(status, "HTTP/1.1 "+want) && body != want {
			t.Errorf("%q is answered %q, want %q", sent, got, want)
		}
	}
	if got := s.raw(t, true, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 400") && !strings.HasPrefix(got, "HTTP/1.1 505") {
		t.Errorf("HTTP/2 on a connection of HTTP/1 is answered %q", got)
	}
}

func TestBodyThatIsNotRead(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		if r.URL.Path == "/late" {
			text, err := io.ReadAll(r.Body)
			_, _ = fmt.Fprint(w, string(text), err)
		}
	})
	small := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /"
	chunks := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"
	late := strings.Replace(small, "POST /", "POST /late", 1)
	last := "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	if got := s.raw(t, false, small+chunks+late+last); strings.Count(got, "HTTP/1.1 404") != 4 ||
		strings.Count(got, "Connection: close") != 1 || !strings.Contains(got, "GET /<nil>") {
		t.Errorf("small bodies cost the connection, or are lost: %q", got)
	}
	large := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", 20000)
	for name, sent := range map[string]string{
		"a body that is there": large + strings.Repeat(last, 300),
		"a body that is not":   large,
		"a body in chunks":     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n",
	} {
		begin := time.Now()
		if got := s.raw(t, false, sent); strings.Count(got, "HTTP/1.1 404") != 1 || !strings.Contains(got, "Connection: close") {
			t.Errorf("%s: %q", name, got)
		}
		if took := time.Since(begin); took > time.Minute {
			t.Errorf("%s: the connection closes after %v", name, took)
		}
	}
}

func TestRecordAndStats(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/abort" {
			panic(http.ErrAbortHandler)
		}
		if r.URL.Path == "/defect" {
			panic("secret")
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "answer")
	})
	for i, p := range protocols {
		client, url := s.client(t, p)
		request, _ := http.NewRequest(http.MethodPost, url+"/path?secret", strings.NewReader("asked"))
		request.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if _, err := client.Do(request); err != nil {
			t.Fatal(err)
		}
		r := <-s.records
		if r.Method != http.MethodPost || r.Path != "/path" || r.Status != 201 || r.Received != 5 || r.Sent != 6 || r.Aborted ||
			r.Duration <= 0 || !strings.HasPrefix(r.Client, "127.0.0.1:") {
			t.Errorf("%s: %+v", p.name, r)
		}
		for _, path := range []string{"/abort", "/defect"} {
			if answer, err := client.Get(url + path); err == nil {
				t.Errorf("%s: %s is answered %s", p.name, path, answer.Status)
			}
			if r := <-s.records; !r.Aborted || r.Status != 0 {
				t.Errorf("%s: %+v", p.name, r)
			}
		}
		stats := s.Stats()
		n := uint64(i + 1)
		all := uint64(0)
		for _, count := range stats.Durations {
			all += count
		}
		// A client may repeat a GET whose connection was closed.
		if stats.Answers[201] != n || stats.Aborted < 2*n || all != n+stats.Aborted || stats.Received != 5*int64(n) || stats.Sent != 6*int64(n) ||
			stats.Open == 0 {
			t.Errorf("%s: %+v", p.name, stats)
		}
		for len(s.records) > 0 {
			<-s.records
		}
	}
	eventually.True(t, "nothing is under way", func() bool { return s.Stats().Active == 0 })
	if !s.said.has(texts[sayPanic]) || s.said.has("secret") {
		t.Errorf("the server says %q", s.said.all)
	}
}

func TestInterrupt(t *testing.T) {
	s := newSite(t, runtime.HTTP{}, func(w http.ResponseWriter, r *http.Request) {
		read, written := make(chan error, 1), make(chan error, 1)
		go func() { _, err := io.Copy(io.Discard, r.Body); read <- err }()
		if r.URL.Path == "/reads" {
			InterruptRead(w)
			if err := <-read; err == nil {
				t.Error("a read returns without an error")
			}
			_, _ = io.WriteString(w, "answer")
			return
		}
		go func() {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					written <- err
					return
				}
			}
		}()
		eventually.True(t, "bytes are sent", func() bool { return s0.Load() > 0 })
		Interrupt(w)
		if <-read == nil || <-written == nil {
			t.Error("a read or a write returns without an error")
		}
		panic(http.ErrAbortHandler)
	})
	for _, p := range protocols {
		s0.Store(0)
		client, url := s.client(t, p)
		body, send := io.Pipe()
		answer, err := client.Post(url+"/both", "", body)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		_, _ = answer.Body.Read(make([]byte, 1))
		s0.Store(1)
		if _, err := io.Copy(io.Discard, answer.Body); err == nil {
			t.Errorf("%s: an answer that was interrupted ends well", p.name)
		}
		_ = send.Close()
		body, send = io.Pipe()
		answer, err = client.Post(url+"/reads", "", body)
		if err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
		if text, err := io.ReadAll(answer.Body); err != nil || string(text) != "answer" {
			t.Errorf("%s: %q, %v", p.name, text, err)
		}
		_ = send.Close()
	}
}

// s0 says to a handler that its client reads.
var s0 atomic.Int64

func TestCloseEndsRequestsAndWaits(t *testing.T) {
	var ended atomic.Int64
	begun := make(chan struct{}, 10)
	s := newSite(t, runtime.HTTP{}, func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
		ended.Add(1)
	})
	for _, p := range protocols {
		client, url := s.client(t, p)
		go func() { _, _ = client.Post(url, "", strings.NewReader("not read")) }()
		<-begun
	}
	s.dial(t, false) // says nothing
	s.Close()
	if n := ended.Load(); n != int64(len(protocols)) {
		t.Errorf("%d handlers have returned, want %d", n, len(protocols))
	}
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("the listener is open")
	}
	if stats := s.Stats(); stats.Open != 0 || stats.Active != 0 {
		t.Errorf("%+v", stats)
	}
	select {
	case <-s.Drained():
	default:
		t.Error("it is not drained")
	}
	l := listenLoopback(t)
	s.Serve(l)
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a listener after Close: %v", err)
	}
}

// readAnswer reads an answer from a connection.
func readAnswer(r *bufio.Reader) (*http.Response, string, error) {
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, "", err
	}
	text, err := io.ReadAll(answer.Body)
	return answer, string(text), err
}
