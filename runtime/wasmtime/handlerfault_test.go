package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// TestHandlerFaults: an instance that fails answers 500, is told of in the log and counted, and
// another one answers the next request. A guest that goes on and has no answer is told of, too.
func TestHandlerFaults(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		t.Run(version, func(t *testing.T) {
			s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{})
			for _, c := range []struct {
				path   string
				status int
				log    string
				ended  uint64 // instances
			}{
				{"/trap", 500, "unreachable", 1},
				{"/memory", 503, "out of memory", 1},
				{"/unset", 500, map[string]string{"0.2": "the guest gave no response", "0.3": "trap: "}[version], map[string]uint64{"0.3": 1}[version]},
				{"/error", 500, "the guest answered with the error ", 0},
			} {
				before, _ := s.counted()
				_, log := s.screen.text()
				a := s.get(c.path)
				if a.status != c.status || a.err != nil {
					t.Errorf("%s: %v", c.path, a)
				}
				if retry := a.header.Get("Retry-After"); (retry != "") != (c.status == 503) {
					t.Errorf("%s: Retry-After %q", c.path, retry)
				}
				s.get("/hello").wants(t, 200, "hello\n")
				soon(t, func() error {
					if after, h := s.counted(); after != before+c.ended {
						return fmt.Errorf("%s: the figures are %+v", c.path, h)
					}
					_, now := s.screen.text()
					now = strings.TrimPrefix(now, log)
					if !strings.HasPrefix(now, "HTTP instance ") || !strings.Contains(now, c.log) || !strings.HasSuffix(now, "\n") {
						return fmt.Errorf("%s: the log has %q", c.path, now)
					}
					return nil
				})
			}
			if _, log := s.screen.text(); !strings.Contains(log, "wasm backtrace") && !strings.Contains(log, "at ") {
				t.Errorf("the log has no place of the trap: %q", log)
			}
			select {
			case <-s.process.Done():
				t.Error("the container has ended")
			default:
			}
		})
	}
}

// counted is how many instances have failed.
func (s *site) counted() (uint64, runtime.HTTPStats) {
	h := s.stats()
	return h.Traps + h.Memory + h.Timeouts, h
}

// TestHandlerCutsAnswersOff: a client does not take a part of an answer for the whole.
func TestHandlerCutsAnswersOff(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", version, two), func(t *testing.T) {
				s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{})
				s.client = newClient(t, two)
				paths := []string{"/half"}
				if version == "0.2" {
					paths = append(paths, "/short")
				}
				for _, path := range paths {
					if a := s.get(path); a.err == nil && a.status < 500 {
						t.Errorf("%s: %v", path, a)
					}
					s.get("/hello").wants(t, 200, "hello\n")
				}
				soon(t, func() error {
					if h := s.stats(); h.Traps != 1 {
						return fmt.Errorf("stats %+v", h)
					}
					return nil
				})
			})
		}
	}
}

// TestHandlerTimeOuts: a guest that does not answer in time ends with 504, and others go on.
func TestHandlerTimeOuts(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		for _, path := range []string{"/loop", "/sleep1000000"} {
			t.Run(version+path, func(t *testing.T) {
				s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{FirstByteTimeout: 300 * time.Millisecond})
				slow := make(chan reply, 1)
				go func() { slow <- s.get(path) }()
				answered := 0
				for end := time.Now().Add(150 * time.Millisecond); time.Now().Before(end) || answered == 0; {
					if a := s.get("/hello"); a.status == 200 {
						answered++
					} else if path != "/loop" || version != "0.3" {
						t.Fatalf("meanwhile: %v", a)
					}
				}
				began := time.Now()
				a := <-slow
				if a.status != 504 || a.err != nil {
					t.Errorf("%v", a)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("it took %v", took)
				}
				s.get("/hello").wants(t, 200, "hello\n")
				if path == "/loop" {
					s.logs("stopped: a request has taken too long")
				}
				soon(t, func() error {
					if h := s.stats(); h.Answers[504] != 1 || h.Active != 0 || path == "/loop" && h.Timeouts != 1 {
						return fmt.Errorf("stats %+v", h)
					}
					return nil
				})
			})
		}
		t.Run(version+" while it answers", func(t *testing.T) {
			s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{Timeout: 400 * time.Millisecond})
			for _, two := range []bool{false, true} {
				if a := askWith(newClient(t, two), http.MethodGet, s.url+"/late1000000", nil); a.status == 200 && a.err == nil {
					t.Errorf("HTTP/2 %v: %v", two, a)
				}
			}
			soon(t, func() error {
				if h := s.stats(); h.Active != 0 || h.Timeouts != 2 {
					return fmt.Errorf("stats %+v", h)
				}
				return nil
			})
		})
	}
}

// TestHandlerTimesOutBesideOthers: of two requests that one instance answers, only that ends which
// takes too long.
func TestHandlerTimesOutBesideOthers(t *testing.T) {
	e := newEngine(t)
	s := newSite(t, e, "http-kitchen-0.3", runtime.HTTP{Instances: 1, FirstByteTimeout: 500 * time.Millisecond})
	began := make(chan reply, 1)
	go func() { began <- s.get("/late1500") }()
	soon(t, func() error {
		if h := s.stats(); h.Active != 1 {
			return fmt.Errorf("stats %+v", h)
		}
		return nil
	})
	if a := s.get("/sleep1000000"); a.status != 504 {
		t.Errorf("the one that takes too long: %v", a)
	}
	(<-began).wants(t, 200, "hello\n")
	soon(t, func() error {
		if h := s.stats(); h.Instances != 0 || h.Active != 0 {
			return fmt.Errorf("stats %+v", h)
		}
		return nil
	})
}

// TestHandlerTimesOutBesideSlowClient: a client that takes little at a time does not keep an
// instance for longer than the time-out.
func TestHandlerTimesOutBesideSlowClient(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		t.Run(version, func(t *testing.T) {
			s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{Timeout: 500 * time.Millisecond})
			c := s.dial(t)
			if _, err := io.WriteString(c, "GET /zero64 HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			soon(t, func() error {
				if h := s.stats(); h.Aborted != 1 || h.Active != 0 || h.Instances > 1 {
					return fmt.Errorf("stats %+v", h)
				}
				return nil
			})
			s.get("/hello").wants(t, 200, "hello\n")
		})
	}
}

// TestHandlerClientGone: a guest whose client has gone ends soon.
func TestHandlerClientGone(t *testing.T) {
	for _, version := range bothWASI {
		for _, two := range []bool{false, true} {
			for _, path := range []string{"/sleep1000000", "/late1000000", "/loop"} {
				t.Run(fmt.Sprintf("%s%s, HTTP/2 %v", version, path, two), func(t *testing.T) {
					t.Parallel()
					s := newSite(t, newEngine(t), "http-kitchen-"+version, runtime.HTTP{})
					ctx, cancel := context.WithCancel(t.Context())
					gone := make(chan reply, 1)
					go func() { gone <- askUntil(ctx, newClient(t, two), http.MethodGet, s.url+path, nil) }()
					soon(t, func() error {
						if h := s.stats(); h.Instances != 1 || h.Active != 1 {
							return fmt.Errorf("stats %+v", h)
						}
						return nil
					})
					cancel()
					if a := <-gone; !errors.Is(a.err, context.Canceled) {
						t.Fatalf("the client got %v", a)
					}
					soon(t, func() error {
						if h := s.stats(); h.Active != 0 || h.Instances > 0 || h.Timeouts != 1 {
							return fmt.Errorf("stats %+v", h)
						}
						return nil
					})
				})
			}
		}
	}
}

// TestHandlerMemoryIsShared: all instances together have the memory of the container. What has no
// room waits, and gets 503 at the end of its time.
func TestHandlerMemoryIsShared(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		t.Run(version, func(t *testing.T) {
			s := newSiteOf(t, e, "http-kitchen-"+version, runtime.Spec{
				MemoryLimit: 24 << 20,
				HTTP:        runtime.HTTP{Reuse: 1000, Instances: 8, Requests: 1, QueueTimeout: 200 * time.Millisecond},
			})
			s.get("/keep14").wants(t, 200, "0\n")
			var all sync.WaitGroup
			got := make(chan reply, 8)
			for range cap(got) {
				all.Go(func() { got <- s.get("/keep14") })
			}
			all.Wait()
			close(got)
			for a := range got {
				if a.err != nil || a.status != 503 && a.body != "1\n" && a.body != "0\n" {
					t.Errorf("%v", a)
				}
			}
			if used := s.process.Stats().Memory; used > 24<<20 {
				t.Errorf("all have %d bytes", used)
			}
			resize(t, s.process, runtime.Limits{Memory: 64 << 20})
			if a := s.get("/memory"); a.status != 503 {
				t.Errorf("after a resize: %v", a)
			}
			s.logs("67108864")
		})
	}
}
