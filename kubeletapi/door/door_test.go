package door

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/hack/flood"
)

// certificate is a certificate of a user or a server, from an authority of its own.
func certificate(t testing.TB, name string) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// opened is a door whose server sends back what its clients send. It refuses one certificate.
func opened(t *testing.T, limits Limits, change func(*Config)) *Door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := certificate(t, "node")
	config := Config{
		Limits:    limits,
		TLS:       &tls.Config{Certificates: []tls.Certificate{*own}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12},
		Handshake: time.Minute, Strange: time.Minute,
		Certified: func(state *tls.ConnectionState) (string, bool) {
			if len(state.PeerCertificates) == 0 || state.PeerCertificates[0].Subject.CommonName == "nobody" {
				return "", false
			}
			return state.PeerCertificates[0].Subject.CommonName, true
		},
		Log: zaptest.NewLogger(t),
	}
	if change != nil {
		change(&config)
	}
	d, err := New(listener, config)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			conn, err := d.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			go serve(conn)
		}
	}()
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		<-served
	})
	return d
}

// serve reads single letters from a client: a begins a request, k says who the client is, r is a
// request that is refused.
func serve(conn net.Conn) {
	defer conn.Close()
	under, b := Under(conn), make([]byte, 1)
	for {
		if _, err := conn.Read(b); err != nil {
			return
		}
		switch b[0] {
		case 'a':
			under.Asks()
		case 'k':
			if !under.Known("jo") {
				return
			}
		case 'r':
			under.Refused()
		}
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
}

// connect is a client from an address, after its handshake.
func connect(d *Door, from string, certificate *tls.Certificate) (*tls.Conn, error) {
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 30 * time.Second}
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	if certificate != nil {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	conn, err := tls.DialWithDialer(dialer, "tcp", d.Addr().String(), config)
	if err == nil {
		err = conn.SetDeadline(time.Now().Add(30 * time.Second))
	}
	return conn, err
}

// client is connect for clients that must get in.
func client(t *testing.T, d *Door, from string, certificate *tls.Certificate) *tls.Conn {
	t.Helper()
	conn, err := connect(d, from, certificate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// says sends a letter and reports whether it came back.
func says(conn net.Conn, letter string) error {
	if _, err := io.WriteString(conn, letter); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

// silent is a client that does not speak.
func silent(t *testing.T, d *Door, from string) net.Conn {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ended waits until the other end has closed the connection.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	timeout := net.Error(nil)
	if _, err := io.ReadAll(conn); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection is still open")
	}
}

// there waits until a state has n connections.
func there(t *testing.T, d *Door, state State, n int) {
	t.Helper()
	eventually.Succeeds(t, func() error {
		if now, _ := d.Counts(); now[state] != n {
			return fmt.Errorf("connections: %v, want %d that are %s", now, n, state)
		}
		return nil
	})
}

var wide = Limits{Pending: 64, Strangers: 64, Tokens: 64, Certified: 64}

// A client with a certificate gets in during a flood, even from the flood's own address.
//
// docs/security.md: "So a client that is prompt gets through during a flood, also one at the
// flood's own address".
// docs/security.md: "the API server is known by its certificate as soon as its handshake is done."
func TestCertifiedClientsGetInDuringFloods(t *testing.T) {
	own, others := []string{"127.0.0.9"}, []string{"127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5", "127.0.1.6", "127.0.1.7", "127.0.1.8"}
	for _, test := range []struct {
		name    string
		kind    flood.Kind
		all     int // connections at one time
		sources []string
	}{
		{"silent, from its own address", flood.Silent, 400, own},
		{"silent, from others", flood.Silent, 400, others},
		{"hello, from its own address", flood.Hello, 200, own},
		{"hello, from others", flood.Hello, 200, others},
		// Both ends of these handshakes use the same processors.
		{"shaken, from its own address", flood.Shaken, 64, own},
		{"shaken, from others", flood.Shaken, 64, others},
	} {
		t.Run(test.name, func(t *testing.T) {
			limits := Limits{Pending: 64, Strangers: 16, Tokens: 16, Certified: 16}
			d := opened(t, limits, nil)
			attack, stop := flood.Start(t, d.Addr().String(), test.kind, test.all/len(test.sources), test.sources...)
			eventually.Succeeds(t, func() error {
				if _, why := d.Counts(); why[Ended{StatePending, ReasonEach}]+why[Ended{StatePending, ReasonAll}]+
					why[Ended{StateStranger, ReasonEach}]+why[Ended{StateStranger, ReasonAll}] < 64 {
					return fmt.Errorf("ended: %v", why)
				}
				return nil
			})
			mine := certificate(t, "api")
			var longest time.Duration
			for range 4 {
				// On a busy machine a client is not always prompt, because both ends and the flood
				// share its processors. Clients try again.
				began, tries := time.Now(), 0
				for {
					conn, err := connect(d, "127.0.0.9", mine)
					if err == nil {
						err = says(conn, "x")
						_ = conn.Close()
					}
					if err == nil {
						break
					}
					if tries++; tries == 5 {
						t.Fatalf("after %d tries and %v: %v", tries, time.Since(began), err)
					}
				}
				longest = max(longest, time.Since(began))
			}
			now, why := d.Counts()
			t.Logf("%v at most; the flood has made %d connections, ended: %v", longest, attack.Made(), why)
			if now[StatePending] > limits.Pending || now[StateStranger] > limits.Strangers {
				t.Errorf("connections: %v", now)
			}
			stop()
			there(t, d, StatePending, 0)
			there(t, d, StateStranger, 0)
		})
	}
}

// The number of pending connections is bounded, in total and for each address. The newest gets in.
//
// docs/security.md: "in their handshake | 1,024 | three quarters, by address".
// docs/security.md: "Of the first two kinds the newest gets in, and the oldest one of the address
// with the most gives way, silent ones first".
func TestPendingConnectionsAreBounded(t *testing.T) {
	limits := wide
	limits.Pending = 8 // six of one address
	d := opened(t, limits, nil)
	var conns []net.Conn
	for range 6 {
		conns = append(conns, silent(t, d, "127.0.1.1"))
	}
	there(t, d, StatePending, 6)
	silent(t, d, "127.0.1.1")
	ended(t, conns[0])
	silent(t, d, "127.0.1.2")
	silent(t, d, "127.0.1.3")
	there(t, d, StatePending, 8)
	silent(t, d, "127.0.1.4")
	ended(t, conns[1]) // its address has the most connections
	there(t, d, StatePending, 8)
	if err := says(client(t, d, "127.0.1.5", nil), "x"); err != nil {
		t.Error(err)
	}
	_, why := d.Counts()
	if why[Ended{StatePending, ReasonEach}] != 1 || why[Ended{StatePending, ReasonAll}] < 2 {
		t.Errorf("ended: %v", why)
	}
}

// A connection keeps its slot for a moment. A connection that speaks keeps it for longer than a
// silent one.
//
// docs/security.md: "One in its handshake keeps its place for a moment (20 ms while it is silent,
// 250 ms when it speaks), and the next
// ones wait in the kernel".
func TestPendingConnectionsStayForAMoment(t *testing.T) {
	limits := wide
	limits.Pending = 3 // two of one address
	d := opened(t, limits, nil)
	began := time.Now()
	speaks := silent(t, d, "127.0.1.1")
	if _, err := speaks.Write([]byte{22}); err != nil { // the first byte of a handshake
		t.Fatal(err)
	}
	first, second := silent(t, d, "127.0.1.1"), silent(t, d, "127.0.1.1")
	ended(t, first)
	if long := time.Since(began); long < quietStay || long > 10*busyStay {
		t.Errorf("a silent one had its place for %v", long)
	}
	third := silent(t, d, "127.0.1.1")
	ended(t, second)
	if _, err := third.Write([]byte{22}); err != nil {
		t.Fatal(err)
	}
	silent(t, d, "127.0.1.1")
	ended(t, speaks)
	if long := time.Since(began); long < busyStay {
		t.Errorf("one that speaks had its place for %v", long)
	}
}

// docs/security.md: "behind it, of strangers | 256 | a quarter, by address".
func TestStrangersAreBounded(t *testing.T) {
	limits := wide
	limits.Strangers = 8 // two of one address
	d := opened(t, limits, nil)
	asks, first := client(t, d, "127.0.1.1", nil), client(t, d, "127.0.1.1", certificate(t, "nobody"))
	for _, step := range []error{says(asks, "a"), says(first, "x")} {
		if step != nil {
			t.Fatal(step)
		}
	}
	second := client(t, d, "127.0.1.1", nil)
	ended(t, first) // the older one has a request, which will say who it is
	if err := errors.Join(says(asks, "k"), says(second, "x")); err != nil {
		t.Error(err)
	}
	there(t, d, StateToken, 1)
	for n := range 10 {
		if err := says(client(t, d, fmt.Sprintf("127.0.2.%d", n+1), nil), "x"); err != nil {
			t.Error(err)
		}
	}
	there(t, d, StateStranger, 8)
	if err := says(asks, "x"); err != nil {
		t.Errorf("one that is known by now: %v", err)
	}
}

// Known users have limits of their own, and their newest connection is refused.
//
// docs/security.md: "of users known by a token | 1,024 | a quarter, by user", "of users known by a
// certificate | 16,384 | half, by user".
// docs/security.md: "Of users who are known, the newest connection is refused".
func TestKnownUsersAreBounded(t *testing.T) {
	limits := wide
	limits.Certified, limits.Tokens = 4, 8 // two of each user
	d := opened(t, limits, nil)
	api, other := certificate(t, "api"), certificate(t, "other")
	for range 2 {
		if err := says(client(t, d, "127.0.1.1", api), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if conn, err := connect(d, "127.0.1.2", api); err == nil && says(conn, "x") == nil {
		t.Error("one too many of a certificate is served")
	}
	if err := says(client(t, d, "127.0.1.1", other), "x"); err != nil {
		t.Errorf("another certificate: %v", err)
	}
	for range 2 {
		if err := says(client(t, d, "127.0.1.1", nil), "k"); err != nil {
			t.Fatal(err)
		}
	}
	if says(client(t, d, "127.0.1.3", nil), "k") == nil {
		t.Error("one too many of a token's user is served")
	}
	now, why := d.Counts()
	if now[StateCertified] != 3 || now[StateToken] != 2 || why[Ended{StateCertified, ReasonEach}] != 1 || why[Ended{StateToken, ReasonEach}] != 1 {
		t.Errorf("connections: %v, ended: %v", now, why)
	}
}

// docs/security.md: "A client has 15 seconds for the handshake", and "30 seconds to say who it is".
func TestTimeIsBounded(t *testing.T) {
	d := opened(t, wide, func(c *Config) { c.Handshake, c.Strange = 500*time.Millisecond, time.Second })
	known, stranger := client(t, d, "127.0.1.1", nil), client(t, d, "127.0.1.1", nil)
	if err := errors.Join(says(known, "k"), says(stranger, "a")); err != nil {
		t.Fatal(err)
	}
	ended(t, silent(t, d, "127.0.1.1"))
	ended(t, stranger)
	if err := says(known, "x"); err != nil {
		t.Errorf("one that is known: %v", err)
	}
	_, why := d.Counts()
	if why[Ended{StatePending, ReasonTime}] != 1 || why[Ended{StateStranger, ReasonTime}] != 1 {
		t.Errorf("ended: %v", why)
	}
}

// A refused stranger loses its connection, whatever else the stranger sends on it. A known client
// keeps it.
func TestRefusedClientsEnd(t *testing.T) {
	d := opened(t, wide, nil)
	known, stranger := client(t, d, "127.0.1.1", nil), client(t, d, "127.0.1.1", nil)
	if err := errors.Join(says(known, "k"), says(known, "r"), says(stranger, "r")); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for says(stranger, "r") == nil {
		if time.Since(began) > 10*farewell {
			t.Fatal("a stranger who asks again and again keeps the connection")
		}
	}
	if err := says(known, "x"); err != nil {
		t.Errorf("one that is known: %v", err)
	}
}

func TestPlainHTTPIsTold(t *testing.T) {
	conn := silent(t, opened(t, wide, nil), "127.0.1.1")
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(conn); err != nil || string(text) != "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS.\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// When the door ends, connections in their handshake end.
func TestClose(t *testing.T) {
	d := opened(t, wide, nil)
	conn := silent(t, d, "127.0.1.1")
	there(t, d, StatePending, 1)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	ended(t, conn)
	if _, err := d.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
	d.listener = closed{d.listener} // the test's end closes it once more
}

// closed is a listener that is already closed.
type closed struct{ net.Listener }

func (closed) Close() error { return nil }

// exhausted is a listener in a process that has no file descriptor left.
type exhausted struct {
	err   error
	calls atomic.Int64
	ended chan struct{}
}

func (e *exhausted) Accept() (net.Conn, error) {
	e.calls.Add(1)
	select {
	case <-e.ended:
		return nil, net.ErrClosed
	default:
		return nil, &net.OpError{Op: "accept", Err: e.err}
	}
}
func (e *exhausted) Close() error   { close(e.ended); return nil }
func (e *exhausted) Addr() net.Addr { return &net.TCPAddr{} }

// Without file descriptors the door does not loop without a pause, and does not give up.
func TestNoDescriptors(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		synctest.Test(t, func(t *testing.T) {
			e := &exhausted{err: errno, ended: make(chan struct{})}
			d, err := New(e, Config{Limits: wide, Log: zaptest.NewLogger(t)})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // virtual
			if n := e.calls.Load(); n < 55 || n > 75 {
				t.Errorf("%v: %d tries in a minute", errno, n)
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestListenerThatFails(t *testing.T) {
	d, err := New(&exhausted{err: syscall.EBADF, ended: make(chan struct{})}, Config{Limits: wide, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Accept(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("%v", err)
	}
	_ = d.Close()
}

// docs/security.md: "of one address (of IPv6: a /64) or user"
func TestAddress(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.1":         "192.0.2.1",
		"::ffff:192.0.2.1":  "192.0.2.1",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64",
		"2001:db8:1:2::":    "2001:db8:1:2::/64",
		"fe80::1%eth0":      "fe80::/64",
	} {
		if got := Address(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestLimitsAreChecked(t *testing.T) {
	for _, l := range []Limits{{}, {Pending: 1, Strangers: 1, Tokens: 1}, {Pending: -1, Strangers: 1, Tokens: 1, Certified: 1}} {
		if _, err := New(closed{}, Config{Limits: l}); err == nil {
			t.Errorf("%+v: no error", l)
		}
	}
	for files := range 10_000 {
		if l := LimitsFor(files); l.check() != nil || l.Files() > max(files, 4*least) {
			t.Fatalf("%d files: %+v", files, l)
		}
	}
}
