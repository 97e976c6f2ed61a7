// Package flood opens connections to a port like an attacker who wants to keep other clients out.
// It is for tests.
package flood

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Kind says how far a connection goes before it is silent.
type Kind int

// The kinds.
const (
	Silent Kind = iota // sends nothing
	Hello              // begins a TLS handshake but does not continue
	Shaken             // completes the handshake without a certificate, but sends no request
)

// Flood is a number of connections. Each is opened again whenever it is closed.
type Flood struct{ made, open atomic.Int64 }

// Made is how many connections have been opened so far.
func (f *Flood) Made() int64 { return f.made.Load() }

// Open is how many connections are open.
func (f *Flood) Open() int64 { return f.open.Load() }

// again is the delay before the next try after a refused connection.
const again = 20 * time.Millisecond

// Start keeps each connections from each source to an address, until stop is called or the test
// ends. Without sources the system chooses the source.
func Start(t testing.TB, to string, kind Kind, each int, sources ...string) (f *Flood, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var attackers sync.WaitGroup
	stop = sync.OnceFunc(func() {
		cancel()
		attackers.Wait()
	})
	t.Cleanup(stop)
	f = &Flood{}
	said := hello(t)
	if len(sources) == 0 {
		sources = []string{""}
	}
	for _, source := range sources {
		dialer := &net.Dialer{Timeout: 5 * time.Second}
		if source != "" {
			dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
		}
		for range each {
			attackers.Go(func() {
				for ctx.Err() == nil {
					if f.one(ctx, dialer, to, kind, said) {
						continue
					}
					select {
					case <-time.After(again):
					case <-ctx.Done():
					}
				}
			})
		}
	}
	return f, stop
}

// one is the life of one connection. It reports whether the connection was opened.
func (f *Flood) one(ctx context.Context, dialer *net.Dialer, to string, kind Kind, said []byte) bool {
	raw, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return false
	}
	defer raw.Close() //nolint:errcheck // there is nothing to lose
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	conn := raw
	f.made.Add(1)
	f.open.Add(1)
	defer f.open.Add(-1)
	switch kind {
	case Silent:
	case Hello:
		_, _ = conn.Write(said)
	case Shaken:
		conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // it attacks
	}
	_, _ = io.Copy(io.Discard, conn) // also does the handshake
	return true
}

// hello is the beginning of a TLS handshake.
func hello(t testing.TB) []byte {
	t.Helper()
	mine, theirs := net.Pipe()
	defer theirs.Close() //nolint:errcheck // a pipe
	go func() {
		_ = tls.Client(mine, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context()) //nolint:gosec // nothing is verified
	}()
	said := make([]byte, 16<<10)
	n, err := theirs.Read(said)
	if err != nil {
		t.Fatalf("flood: %v", err)
	}
	return said[:n]
}
