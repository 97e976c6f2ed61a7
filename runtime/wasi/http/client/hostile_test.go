package client

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	nethttp "net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/hack/authority"
)

// listen serves connections with f, and returns the address.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accept(t, l, f)
	return l.Addr().String()
}

func accept(t *testing.T, l net.Listener, f func(net.Conn)) {
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(30 * time.Second)) // a test that hangs is to fail
			all.Go(func() {
				f(c)
				_ = c.Close()
			})
		}
	})
}

// fullListener is an address that answers no connection, as its queue is full.
func fullListener(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.AddrFrom4(name.(*unix.SockaddrInet4).Addr), uint16(name.(*unix.SockaddrInet4).Port))
	for range 8 {
		c, err := net.DialTimeout("tcp", at.String(), 100*time.Millisecond)
		if err != nil {
			return at
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatal("the queue of a listening socket takes all connections")
	return at
}

func serverTLS(t *testing.T, ca *authority.Authority) *tls.Config {
	t.Helper()
	return &tls.Config{
		Certificates: []tls.Certificate{*ca.Sign(t, x509.ExtKeyUsageServerAuth, "server")}, NextProtos: []string{"h2", "http/1.1"},
		MinVersion: tls.VersionTLS12,
	}
}

// ask reads the head of a request.
func ask(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err != nil || line == "\r\n" {
			return
		}
	}
}

// endless writes a piece again and again, until the other end has had enough.
func endless(c net.Conn, piece string) {
	long := []byte(strings.Repeat(piece, 1+4096/len(piece)))
	for {
		if _, err := c.Write(long); err != nil {
			return
		}
	}
}

func after(text string) func(net.Conn) {
	return func(c net.Conn) {
		ask(c)
		_, _ = io.WriteString(c, text)
	}
}

// TestHostileServers: what servers do wrong, or too much of, has its code, and an end.
func TestHostileServers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	hang := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			after(text)(c)
			_, _ = io.Copy(io.Discard, c) // until the client closes
		}
	}
	for name, test := range map[string]struct {
		serve func(net.Conn)
		want  Code
	}{
		"closes":                 {after(""), ConnectionTerminated},
		"closes in the head":     {after("HTTP/1.1 200"), ConnectionTerminated},
		"resets":                 {func(c net.Conn) { ask(c); reset(c) }, ConnectionTerminated},
		"no HTTP":                {after("SSH-2.0-OpenSSH_9\r\n\r\n"), ProtocolError},
		"endless headers":        {func(c net.Conn) { after(ok)(c); endless(c, "a: b\r\n") }, ResponseHeaderSectionSize},
		"an endless header":      {func(c net.Conn) { after(ok + "a: ")(c); endless(c, "b") }, ResponseHeaderSectionSize},
		"an endless status":      {func(c net.Conn) { after("HTTP/1.1 200 ")(c); endless(c, "b") }, ResponseHeaderSectionSize},
		"endless informations":   {func(c net.Conn) { after("")(c); endless(c, "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n") }, ResponseHeaderSectionSize},
		"a bad status":           {after("HTTP/1.1 2x0 OK\r\n\r\n"), ProtocolError},
		"a bad length":           {after(ok + "Content-Length: -1\r\n\r\n"), ProtocolError},
		"two lengths":            {after(ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), ProtocolError},
		"a length that is more":  {after(ok + "Content-Length: 9\r\n\r\nabc"), ResponseIncomplete},
		"a chunk that is cut":    {after(ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nabc"), ResponseIncomplete},
		"no chunk":               {after(ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"), ProtocolError},
		"an endless chunk size":  {func(c net.Conn) { after(ok + "Transfer-Encoding: chunked\r\n\r\n")(c); endless(c, "0") }, ProtocolError},
		"another coding":         {after(ok + "Transfer-Encoding: zip\r\n\r\n"), ResponseTransferCoding},
		"endless trailers":       {func(c net.Conn) { after(ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n")(c); endless(c, "a: b\r\n") }, ResponseTrailerSectionSize},
		"trailers that are cut":  {after(ok + "Transfer-Encoding: chunked\r\n\r\n0\r\na: b\r\n"), ResponseTrailerSectionSize}, // as net/http says
		"an upgrade":             {after("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), UpgradeFailed},
		"says nothing":           {hang(""), ConnectionReadTimeout},
		"stops in the head":      {hang(ok + "a: "), ConnectionReadTimeout},
		"stops in the body":      {hang(ok + "Content-Length: 9\r\n\r\nabc"), ConnectionReadTimeout},
		"resets in the body":     {func(c net.Conn) { after(ok + "Content-Length: 9\r\n\r\nabc")(c); reset(c) }, ConnectionTerminated},
		"a wrong trailer's name": {after(ok + "Transfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n0\r\n\r\n"), ProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := listen(t, test.serve)
			times := Timeouts{}
			if test.want == ConnectionReadTimeout {
				times = Timeouts{FirstByte: 200 * time.Millisecond, BetweenBytes: 200 * time.Millisecond}
			}
			_, _, err := newClient(t, Config{}).get(t, "http://"+at+"/", times)
			wantCode(t, err, test.want)
		})
	}
}

// reset has the connection end with a reset.
func reset(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }

// TestMoreThanItsLength: what comes after a whole response is not part of the next one.
func TestMoreThanItsLength(t *testing.T) {
	at := listen(t, after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
	c := newClient(t, Config{})
	for range 5 {
		if _, body, err := c.get(t, "http://"+at+"/", Timeouts{}); body != "ok" || err != nil {
			t.Fatalf("the response is %q, %v", body, err)
		}
	}
}

// TestHostileTLS: codes of TLS.
func TestHostileTLS(t *testing.T) {
	ca := authority.New(t, "test")
	good := serverTLS(t, ca)
	wantsCertificate := good.Clone()
	wantsCertificate.ClientAuth = tls.RequireAnyClientCert
	wantsCertificate.MaxVersion = tls.VersionTLS12 // 1.3 has the alert after the handshake, or the connection's end before it
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 //nolint:gosec // a server that is to be refused
	wrongName := &tls.Config{Certificates: []tls.Certificate{*ca.Sign(t, x509.ExtKeyUsageClientAuth, "other")}, MinVersion: tls.VersionTLS12}
	shake := func(cfg *tls.Config) func(net.Conn) {
		return func(c net.Conn) {
			s := tls.Server(c, cfg)
			if s.Handshake() == nil {
				_, _ = io.Copy(io.Discard, s)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		serve func(net.Conn)
		roots []string
		want  Code
	}{
		"an authority that is not known": {shake(good), nil, TLSCertificateError},
		"another name":                   {shake(wrongName), []string{file}, TLSCertificateError},
		"wants a certificate":            {shake(wantsCertificate), []string{file}, TLSAlertReceived},
		"an old version":                 {shake(old), []string{file}, TLSAlertReceived},
		"no TLS":                         {func(c net.Conn) { _, _ = io.WriteString(c, "220 ready\r\n") }, []string{file}, TLSProtocolError},
		"plain HTTP":                     {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, []string{file}, TLSProtocolError},
		"closes":                         {func(net.Conn) {}, []string{file}, ConnectionTerminated},
		"says nothing":                   {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, []string{file}, ConnectionTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := listen(t, test.serve)
			times := Timeouts{Connect: 30 * time.Second}
			if test.want == ConnectionTimeout {
				times.Connect = 300 * time.Millisecond
			}
			_, _, err := newClient(t, Config{Roots: test.roots}).get(t, "https://"+at+"/", times)
			wantCode(t, err, test.want)
			if e, ok := err.(*Error); ok && test.want == TLSAlertReceived && e.Alert == 0 { //nolint:errorlint // as Do returns it
				t.Error("the alert has no number")
			}
		})
	}
}

// framer is a server of HTTP/2 that need not follow rules.
type framer struct {
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func (f *framer) fields(of ...string) []byte {
	f.block.Reset()
	for i := 0; i < len(of); i += 2 {
		_ = f.encoder.WriteField(hpack.HeaderField{Name: of[i], Value: of[i+1]})
	}
	return bytes.Clone(f.block.Bytes())
}

func (f *framer) head(stream uint32, end bool, of ...string) error {
	return f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.fields(of...), EndHeaders: true, EndStream: end})
}

// long writes a block of fields in several frames.
func (f *framer) long(block []byte) {
	n := min(len(block), frameSize)
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:n], EndHeaders: n == len(block)})
	for block = block[n:]; len(block) > 0; block = block[n:] {
		n = min(len(block), frameSize)
		_ = f.WriteContinuation(1, n == len(block), block[:n])
	}
}

// TestHostileHTTP2: floods of HTTP/2, and what breaks its rules.
func TestHostileHTTP2(t *testing.T) {
	const id = 1
	for name, test := range map[string]struct {
		serve func(f *framer) error // again and again, if it has no error
		want  Code
		once  bool
	}{
		"resets the stream": {func(f *framer) error { return f.WriteRSTStream(id, http2.ErrCodeInternal) }, ConnectionTerminated, true},
		"blames the stream": {func(f *framer) error { return f.WriteRSTStream(id, http2.ErrCodeProtocol) }, ConnectionTerminated, true}, // net/http tries again
		"goes away, always": {func(f *framer) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) }, ConnectionTerminated, true},
		"no status":         {func(f *framer) error { return f.head(id, true, "a", "b") }, ProtocolError, true},
		"a large field": {func(f *framer) error {
			f.long(f.fields(":status", "200", "a", strings.Repeat("b", 2*MaxHeader)))
			return nil
		}, ProtocolError, true}, // as net/http sees it
		"many fields": {func(f *framer) error {
			var all []string
			for i := range 1600 {
				all = append(all, "name-"+strconv.Itoa(i), "v")
			}
			f.long(f.fields(append([]string{":status", "200"}, all...)...))
			return nil
		}, ResponseHeaderSectionSize, true},
		"endless continuations": {func(f *framer) error {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: f.fields(":status", "200")})
			for {
				if err := f.WriteContinuation(id, false, f.fields("a", strings.Repeat("b", 10000))); err != nil {
					return err
				}
			}
		}, ProtocolError, true},
		"endless informations": {func(f *framer) error { return f.head(id, false, ":status", "103", "a", strings.Repeat("b", 1000)) }, ResponseHeaderSectionSize, false},
		"endless pings":        {func(f *framer) error { return f.WritePing(false, [8]byte{1}) }, ConnectionReadTimeout, false},
		"endless settings":     {func(f *framer) error { return f.WriteSettings() }, ConnectionReadTimeout, false},
		"pushes": {func(f *framer) error {
			return f.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: f.fields(":method", "GET"), EndHeaders: true})
		}, ProtocolError, true},
		"more data than was allowed": {func(f *framer) error {
			_ = f.head(id, false, ":status", "200")
			for {
				if err := f.WriteData(id, false, make([]byte, frameSize)); err != nil {
					return err
				}
			}
		}, ProtocolError, true},
		"a large frame": {func(f *framer) error {
			_ = f.head(id, false, ":status", "200")
			return f.WriteData(id, false, make([]byte, 1<<20))
		}, ProtocolError, true},
		"a length too large": {func(f *framer) error { return f.head(id, true, ":status", "200", "content-length", "9") }, ResponseIncomplete, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, at := http2Site(t, func(f *framer) {
				for test.serve(f) == nil && !test.once {
					continue
				}
			})
			got, err := c.Do(t.Context(), &Request{
				Method: "GET", Scheme: "https", Authority: at, Path: "/", Header: nethttp.Header{},
				Timeouts: Timeouts{FirstByte: time.Second, BetweenBytes: time.Second},
			})
			if err == nil {
				if name == "more data than was allowed" { // nothing reads, so the window stays
					waitFor(t, got.Body)
				}
				_, err = io.Copy(io.Discard, got.Body)
				_ = got.Body.Close()
			}
			wantCode(t, err, test.want)
		})
	}
}

// waitFor waits until a server has sent more than all windows, or was cut off.
func waitFor(t *testing.T, body io.Reader) {
	t.Helper()
	var one [1]byte
	for range connWindow * 2 {
		if _, err := body.Read(one[:]); err != nil {
			return
		}
	}
}

// http2Site is a server whose answer to the first request is f, and a client of it.
func http2Site(t *testing.T, f func(*framer)) (*Client, string) {
	t.Helper()
	ca := authority.New(t, "test")
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, ca.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := serverTLS(t, ca)
	at := listen(t, func(raw net.Conn) {
		c := tls.Server(raw, cfg)
		if c.Handshake() != nil {
			return
		}
		_, _ = io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
		s := &framer{Framer: http2.NewFramer(c, c)}
		s.AllowIllegalWrites = true
		s.encoder = hpack.NewEncoder(&s.block)
		_ = s.WriteSettings()
		for {
			frame, err := s.ReadFrame()
			if err != nil {
				return
			}
			if _, ok := frame.(*http2.HeadersFrame); ok {
				break
			}
		}
		read := make(chan struct{})
		go func() { // so that the client's answers are taken
			defer close(read)
			_, _ = io.Copy(io.Discard, c)
		}()
		f(s)
		<-read
	})
	return newClient(t, Config{Roots: []string{file}}), at
}
