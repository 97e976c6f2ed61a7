package names

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// virtual are servers whose connections are pipes, so that time can be virtual.
type virtual struct {
	answer func(to netip.AddrPort, q query) [][]byte

	mu    sync.Mutex
	asked int
}

func (v *virtual) dial(_ context.Context, p runtime.Protocol, to netip.AddrPort) (net.Conn, error) {
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		message := make([]byte, 512)
		n, err := there.Read(message)
		if err != nil {
			return
		}
		v.mu.Lock()
		v.asked++
		v.mu.Unlock()
		s := server{answer: func(q query) [][]byte { return v.answer(to, q) }}
		answers := s.ask(message[:n], query{})
		for _, answer := range answers {
			there.Write(answer)
		}
		there.Read(message) // until the other side closes
	}()
	return here, nil
}

func serversOf(n int) (all []netip.AddrPort) {
	for i := range n {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), port))
	}
	return all
}

// TestTimes: how long a lookup takes if no server answers.
func TestTimes(t *testing.T) {
	for name, tt := range map[string]struct {
		names runtime.Names
		want  time.Duration
		asked int
	}{
		"by default":          {runtime.Names{Servers: serversOf(1)}, 10 * time.Second, 2},
		"three servers":       {runtime.Names{Servers: serversOf(3)}, 30 * time.Second, 6},
		"by options":          {runtime.Names{Servers: serversOf(2), Timeout: 2 * time.Second, Attempts: 3}, 12 * time.Second, 6},
		"too long":            {runtime.Names{Servers: serversOf(1), Timeout: time.Hour, Attempts: 1}, 30 * time.Second, 1},
		"too many, too often": {runtime.Names{Servers: serversOf(9), Timeout: 29 * time.Second, Attempts: 1000}, maxLookup, 5},
		"a search ends":       {runtime.Names{Servers: serversOf(1), Search: []string{"a.test", "b.test", "c.test"}, Ndots: 5, Timeout: time.Second, Attempts: 1}, time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &virtual{answer: func(netip.AddrPort, query) [][]byte { return nil }}
				r := New(Settings{Names: tt.names, Dial: v.dial, NoIPv6: true})
				begun := time.Now()
				_, err := r.Lookup(t.Context(), "web")
				if took := time.Since(begun); took != tt.want || failed(err) != "no server answers" {
					t.Errorf("%v after %v, want %v", err, took, tt.want)
				}
				synctest.Wait()
				if v.asked != tt.asked {
					t.Errorf("asked %d times, want %d", v.asked, tt.asked)
				}
			})
		})
	}
}

// TestSlowAnswer: a server that sends a byte each second does not get more time than one that sends
// none.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var serving sync.WaitGroup
		defer serving.Wait()
		r := New(Settings{
			Names: runtime.Names{Servers: serversOf(1), Attempts: 1, TCP: true}, NoIPv6: true,
			Dial: func(context.Context, runtime.Protocol, netip.AddrPort) (net.Conn, error) {
				here, there := net.Pipe()
				serving.Go(func() {
					defer there.Close()
					if _, err := there.Read(make([]byte, 512)); err != nil {
						return
					}
					for _, err := there.Write([]byte{0xff, 0xff}); err == nil; _, err = there.Write([]byte{0}) {
						time.Sleep(time.Second)
					}
				})
				return here, nil
			},
		})
		begun := time.Now()
		_, err := r.Lookup(t.Context(), "web")
		if took := time.Since(begun); took != defaultTimeout || failed(err) != "no server answers" {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// TestSlowFamily: what one family's server does not say in time does not cost the other's answer.
func TestSlowFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{answer: func(_ netip.AddrPort, q query) [][]byte {
			if q.kind == dnsmessage.TypeAAAA {
				return nil
			}
			return one(good(q))
		}}
		r := New(Settings{Names: runtime.Names{Servers: serversOf(1)}, Dial: v.dial})
		if answer, err := r.Lookup(t.Context(), "web"); shown(answer) != "192.0.2.1" {
			t.Errorf("%v %v", answer, err)
		}
	})
}

// TestEndsWithItsContext: a guest that is killed does not wait for servers.
func TestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{answer: func(netip.AddrPort, query) [][]byte { return nil }}
		r := New(Settings{Names: runtime.Names{Servers: serversOf(3)}, Dial: v.dial})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := r.Lookup(ctx, "web"); !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}

// TestKept: an answer is kept as long as it says, within bounds.
func TestKept(t *testing.T) {
	miss := func(code dnsmessage.RCode, ttl uint32) func(query) dnsmessage.Message {
		return func(q query) dnsmessage.Message {
			m := q.reply()
			m.RCode = code
			m.Authorities = append(m.Authorities, soa(ttl))
			return m
		}
	}
	found := func(ttls ...uint32) func(query) dnsmessage.Message {
		return func(q query) dnsmessage.Message {
			m := q.reply()
			for i, ttl := range ttls {
				m.Answers = append(m.Answers, record(q.name, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String(), ttl))
			}
			return m
		}
	}
	for name, tt := range map[string]struct {
		answer func(query) dnsmessage.Message
		want   time.Duration
	}{
		"found":                  {found(30), 30 * time.Second},
		"the shortest":           {found(30, 7, 60), 7 * time.Second},
		"for ever":               {found(1<<31 - 1), maxHeld},
		"a negative time":        {found(1 << 31), 0},
		"for one use":            {found(0), 0},
		"no such name":           {miss(dnsmessage.RCodeNameError, 5), 5 * time.Second},
		"no such name, for ever": {miss(dnsmessage.RCodeNameError, 86400), maxMissed},
		"no address":             {miss(dnsmessage.RCodeSuccess, 5), 5 * time.Second},
		"a failure":              {miss(dnsmessage.RCodeServerFailure, 60), 0},
		"nothing, unsigned": {func(q query) dnsmessage.Message {
			m := q.reply()
			m.RCode = dnsmessage.RCodeNameError
			return m
		}, 0},
		"an alias for a shorter time": {func(q query) dnsmessage.Message {
			m := q.reply()
			m.Answers = append(m.Answers, record(q.name, "b.", 3), record("b.", "192.0.2.1", 60))
			return m
		}, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &virtual{answer: func(_ netip.AddrPort, q query) [][]byte { return one(tt.answer(q)) }}
				r := New(Settings{Names: runtime.Names{Servers: serversOf(1)}, Dial: v.dial, NoIPv6: true})
				asks := func() int {
					before := v.asked
					answer, err := r.Lookup(t.Context(), "web")
					synctest.Wait()
					if err == nil && answer.TTL > tt.want {
						t.Errorf("the answer may be kept for %v", answer.TTL)
					}
					return v.asked - before
				}
				if asks() != 1 {
					t.Fatal("it was not asked for")
				}
				if tt.want == 0 {
					if asks() != 1 {
						t.Error("it was kept")
					}
					return
				}
				time.Sleep(tt.want - time.Nanosecond)
				if asks() != 0 {
					t.Errorf("it was asked for within %v", tt.want)
				}
				time.Sleep(time.Nanosecond)
				if asks() != 1 {
					t.Errorf("it was kept longer than %v", tt.want)
				}
			})
		})
	}
}

// TestCacheIsBounded: a guest that looks up many names costs no more than one that looks up some.
//
// docs/security.md: "and what is kept of it are bounded."
func TestCacheIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{answer: func(_ netip.AddrPort, q query) [][]byte { return one(good(q)) }}
		r := New(Settings{Names: runtime.Names{Servers: serversOf(1)}, Dial: v.dial, NoIPv6: true})
		for i := range 2 * maxKept {
			if _, err := r.Lookup(t.Context(), "n"+strings.Repeat("x", i%50)+"."+strings.Repeat("y", i/50+1)); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.cache.Len(); n != maxKept {
			t.Errorf("%d answers are kept", n)
		}
	})
}

// BenchmarkKept looks up a name whose answers are kept, as the third candidate of a search list.
func BenchmarkKept(b *testing.B) {
	s := startServer(b, "127.0.0.1", zone(map[string][]string{"web.c.test": {"192.0.2.1"}}))
	r := New(Settings{Names: runtime.Names{Servers: []netip.AddrPort{s.at}, Search: []string{"a.test", "b.test", "c.test"}, Ndots: 5}, Dial: dial})
	for b.Loop() {
		if _, err := r.Lookup(b.Context(), "web"); err != nil {
			b.Fatal(err)
		}
	}
}
