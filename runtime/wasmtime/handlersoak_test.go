package wasmtime

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestHandlerSlowSender: a client that sends a part of its body and goes leaves nothing.
func TestHandlerSlowSender(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		for _, path := range []string{"/echo", "/size", "/sleep1000", "/hello"} {
			t.Run(version+path, func(t *testing.T) {
				s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{})
				c := s.dial(t)
				if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", path); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					if _, err := io.WriteString(c, "more"); err != nil {
						break // the server answers, and closes
					}
				}
				_ = c.Close() // a second one fails
				soon(t, func() error {
					if h := s.stats(); h.Active != 0 || h.Open != 0 || len(h.Answers)+int(h.Aborted) == 0 {
						return fmt.Errorf("stats %+v", h)
					}
					return nil
				})
				s.get("/hello").wants(t, 200, "hello\n")
			})
		}
	}
}

// breaksOff is a body that ends with an error after some bytes.
type breaksOff struct {
	left int
	wait time.Duration
}

func (b *breaksOff) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.ErrClosedPipe
	}
	n := min(len(p), b.left, 1000)
	b.left -= n
	time.Sleep(b.wait) // a slow client, which the test does not wait for
	return n, nil
}

// TestHandlerSoak has 64 clients that go away at any time for some seconds. Then everything of them
// is free, and the handler answers.
func TestHandlerSoak(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		for _, reuse := range []int{1, 50} {
			t.Run(fmt.Sprintf("%s, reuse %d", version, reuse), func(t *testing.T) {
				s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{
					Reuse: reuse, Instances: 12, Requests: 8, QueueTimeout: time.Second, FirstByteTimeout: 500 * time.Millisecond, Timeout: time.Second,
				})
				s.get("/hello").wants(t, 200, "hello\n")
				s.client.CloseIdleConnections()
				soon(t, func() error {
					if open := s.stats().Open; open != 0 {
						return fmt.Errorf("%d connections", open)
					}
					return nil
				})
				before, memory := takeFootprint(t), s.process.Stats().Memory
				clients := s.soak(2*time.Second, 64)
				soon(t, func() error {
					for _, c := range clients {
						c.CloseIdleConnections()
					}
					if h := s.stats(); h.Active != 0 || h.Queued != 0 || h.Open > 1 {
						return fmt.Errorf("stats %+v", h)
					}
					return nil
				})
				s.get("/hello").wants(t, 200, "hello\n")
				h := s.stats()
				t.Logf("stats %+v", h)
				if used := s.process.Stats().Memory; used > max(memory, 1<<20)*max(h.Instances, 1)+64<<10 {
					t.Errorf("%d instances have %d bytes, one had %d", h.Instances, used, memory)
				}
				s.process.Stop(0)
				s.wait()
				s.leavesNothing()
				soon(t, func() error {
					if after := takeFootprint(t); after.goroutines > before.goroutines || after.descriptors > before.descriptors {
						return fmt.Errorf("before %+v, after %+v", before, after)
					}
					return nil
				})
			})
		}
	}
}

// soak has n clients ask for a time.
func (s *site) soak(d time.Duration, n int) (clients []*http.Client) {
	end := time.Now().Add(d)
	paths := []string{
		"/hello", "/echo", "/size", "/zero1", "/trailers", "/late30", "/sleep30", "/half", "/trap", "/memory", "/loop", "/unset", "/error", "/output", "/sleep700",
	}
	var all sync.WaitGroup
	for i := range n {
		client := newClient(s.t, i%2 == 0)
		clients = append(clients, client)
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for time.Now().Before(end) {
				client.Timeout = time.Duration(1+random.IntN(400)) * time.Millisecond
				path := paths[random.IntN(len(paths))]
				var body io.Reader
				switch random.IntN(3) {
				case 0:
					body = strings.NewReader(strings.Repeat("x", random.IntN(200_000)))
				case 1:
					body = &breaksOff{left: random.IntN(20_000), wait: time.Duration(random.IntN(10)) * time.Millisecond}
				}
				_ = askWith(client, http.MethodPost, s.url+path, body) // any answer will do
			}
		})
	}
	all.Wait()
	return clients
}
