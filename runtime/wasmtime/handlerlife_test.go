package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/runtime"
)

// counts asks an instance n times, one after another, how many requests it has had.
func (s *site) counts(n int) string {
	var all strings.Builder
	for range n {
		all.WriteString(strings.TrimSpace(s.get("/count").body))
	}
	return all.String()
}

// TestHandlerReuse: an instance answers as many requests as the settings say.
func TestHandlerReuse(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct {
		version string
		reuse   int
		want    string
	}{
		{"0.2", 0, "1111"}, {"0.2", 3, "12312312"}, {"0.2", 1, "111"},
		{"0.3", 0, "123456789"}, {"0.3", 3, "12312312"}, {"0.3", 1, "111"},
	} {
		t.Run(fmt.Sprintf("%s, reuse %d", c.version, c.reuse), func(t *testing.T) {
			s := newSite(t, e, "http-kitchen-"+c.version, runtime.HTTP{Reuse: c.reuse})
			if got := s.counts(len(c.want)); got != c.want {
				t.Errorf("instances counted %s, want %s", got, c.want)
			}
			if h := s.stats(); h.Cold == 0 || h.Cold+h.Warm != uint64(len(c.want)) {
				t.Errorf("stats %+v", h)
			}
		})
	}
}

// asks has n requests at the same time.
func (s *site) asks(n int, path string) []reply {
	all := make([]reply, n)
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() { all[i] = s.get(path) })
	}
	group.Wait()
	return all
}

// TestHandlerInstanceAnswersSeveral: an instance of WASI 0.3 answers several requests at a time, as
// many as it may, and is renewed after Reuse.
func TestHandlerInstanceAnswersSeveral(t *testing.T) {
	e := newEngine(t)
	s := newSite(t, e, "http-kitchen-0.3", runtime.HTTP{Instances: 1, Requests: 4, Reuse: 8})
	most := ""
	for _, a := range s.asks(16, "/active100") {
		if a.status != 200 || a.err != nil {
			t.Errorf("%v", a)
		}
		most = max(most, strings.TrimSpace(a.body))
	}
	if most != "3" && most != "4" {
		t.Errorf("a request found %s others", most)
	}
	if h := s.stats(); h.Cold != 2 || h.Warm != 14 {
		t.Errorf("stats %+v", h)
	}
}

// TestHandlerQueue: a request beyond all instances waits, for its time, if there is room to wait.
func TestHandlerQueue(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		t.Run(version, func(t *testing.T) {
			settings := runtime.HTTP{Instances: 2, Requests: 1, Queue: 3, QueueTimeout: time.Minute}
			s := newSite(t, e, "http-kitchen-"+version, settings)
			for _, a := range s.asks(5, "/sleep200") {
				a.wants(t, 200, "hello\n")
			}
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			defer all.Wait()
			defer cancel()
			waits := func(active, queued int64) {
				soon(t, func() error {
					if h := s.stats(); h.Active != active || h.Queued != queued {
						return fmt.Errorf("stats %+v", h)
					}
					return nil
				})
			}
			for i := range 5 {
				all.Go(func() { askUntil(ctx, s.client, http.MethodGet, s.url+"/sleep1000000", nil) })
				waits(int64(i+1), int64(max(i-1, 0)))
			}
			began := time.Now()
			a := s.get("/hello")
			if a.status != 503 || a.header.Get("Retry-After") == "" || time.Since(began) > 10*time.Second {
				t.Errorf("with a full queue, after %v: %v, %v", time.Since(began), a, a.header)
			}
			cancel() // those that wait leave the queue
			soon(t, func() error {
				if h := s.stats(); h.Queued != 0 || h.Active != 0 {
					return fmt.Errorf("stats %+v", h)
				}
				return nil
			})
			s.get("/hello").wants(t, 200, "hello\n")

			settings.QueueTimeout = 200 * time.Millisecond
			s = newSite(t, e, "http-kitchen-"+version, settings)
			for _, a := range s.asks(3, "/sleep1500") {
				if a.status == 503 && a.header.Get("Retry-After") != "" {
					s.get("/hello")
					return
				}
			}
			t.Error("none has waited for too long")
		})
	}
}

// TestHandlerStops: Stop lets requests under way end, and then the container ends well.
func TestHandlerStops(t *testing.T) {
	for _, version := range bothWASI {
		for _, two := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %v", version, two), func(t *testing.T) {
				e := newEngine(t)
				s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{})
				s.client = newClient(t, two)
				under := make(chan reply, 1)
				go func() { under <- s.get("/sleep500") }()
				soon(t, func() error {
					if h := s.stats(); h.Active != 1 {
						return fmt.Errorf("stats %+v", h)
					}
					return nil
				})
				s.process.Stop(time.Hour)
				(<-under).wants(t, 200, "hello\n")
				if exit := s.wait(); exit.Code != 0 || exit.Reason != runtime.Completed {
					t.Errorf("exit %+v", exit)
				}
				if a := s.get("/hello"); a.err == nil {
					t.Errorf("after the end: %v", a)
				}
				s.leavesNothing()
			})
		}
	}
}

// leavesNothing checks that no instance is left of a container that has ended.
func (s *site) leavesNothing() {
	s.t.Helper()
	storeHandles.mu.Lock()
	numbers := len(*storeHandles.list.Load()) - len(storeHandles.free)
	storeHandles.mu.Unlock()
	if numbers != 0 {
		s.t.Errorf("%d numbers of stores are in use", numbers)
	}
	if g := s.process.(*guest); g.engine.slots.Taken() != 0 { //nolint:forcetypeassert // newSite has looked
		s.t.Errorf("%d slots are taken", g.engine.slots.Taken())
	}
	if used := s.process.Stats(); used.CPU == 0 {
		s.t.Errorf("it used %+v", used)
	}
}

// TestHandlerKill: a kill ends all requests that are under way, in each of these states.
func TestHandlerKill(t *testing.T) {
	for _, version := range bothWASI {
		t.Run(version, func(t *testing.T) {
			e := newEngine(t)
			newSite(t, e, "http-kitchen-"+version, runtime.HTTP{}) // it takes what stays: code, and what Go has for sockets
			before := takeFootprint(t)
			s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{Instances: 6, Requests: 1})
			var all sync.WaitGroup
			paths := []string{"/loop", "/sleep1000000", "/late1000000", "/zero100000", "/echo", "/size", "/hello", "/hello"}
			for i, path := range paths {
				c := s.dial(t)
				method, more := "GET", ""
				if path == "/echo" || path == "/size" {
					method, more = "POST", "Content-Length: 1000000\r\n"
				}
				if _, err := fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n0123456789", method, path, more); err != nil {
					t.Fatal(err)
				}
				soon(t, func() error {
					if h := s.stats(); h.Active != int64(i+1) {
						return fmt.Errorf("stats %+v", h)
					}
					return nil
				})
				all.Go(func() { // it takes no more than the socket does, until the end
					<-s.process.Done()
					_ = c.Close() // the server has done so
				})
			}
			soon(t, func() error {
				if h := s.stats(); h.Active != int64(len(paths)) || h.Queued != 2 {
					return fmt.Errorf("stats %+v", h)
				}
				return nil
			})
			began := time.Now()
			s.process.Stop(0)
			exit := s.wait()
			if exit.Code != 137 || exit.Reason != runtime.Error || exit.Message != messageKilled {
				t.Errorf("exit %+v", exit)
			}
			if took := time.Since(began); took > killTime && (!raceDetector || took > 20*killTime) {
				t.Errorf("the kill took %v", took)
			}
			all.Wait()
			soon(t, func() error {
				if after := takeFootprint(t); after.goroutines > before.goroutines+4 || after.descriptors > before.descriptors {
					return fmt.Errorf("before %+v, after %+v", before, after)
				}
				return nil
			})
		})
	}
}

// TestHandlerCPU: what all instances use counts for the container, and its limit holds for all of
// them, also after a change.
func TestHandlerCPU(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		t.Run(version, func(t *testing.T) {
			s := newSiteOf(t, e, "http-kitchen-"+version, runtime.Spec{CPULimit: 100, HTTP: runtime.HTTP{Requests: 1}})
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			defer all.Wait()
			defer cancel()
			for range 2 {
				all.Go(func() { askUntil(ctx, s.client, http.MethodGet, s.url+"/loop", nil) })
			}
			soon(t, func() error {
				if u := s.process.Stats(); u.Throttled < 300*time.Millisecond || u.HTTP.Instances != 2 {
					return fmt.Errorf("used %+v", u)
				}
				return nil
			})
			began, before := time.Now(), s.process.Stats().CPU
			soon(t, func() error {
				if time.Since(began) < time.Second {
					return errors.New("too early")
				}
				return nil
			})
			used, wall := s.process.Stats().CPU-before, time.Since(began)
			if float64(used) > 0.3*float64(wall) {
				t.Errorf("two instances limited to 0.1 used %v in %v", used, wall)
			}
			resize(t, s.process, runtime.Limits{})
			began, before = time.Now(), s.process.Stats().CPU
			soon(t, func() error {
				if used := s.process.Stats().CPU - before; used < 500*time.Millisecond {
					return fmt.Errorf("without a limit they used %v", used)
				}
				return nil
			})
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("without a limit it took %v", took)
			}
			s.process.Stop(0)
			s.wait()
		})
	}
}

var marked = regexp.MustCompile(`^(\[\d+\] )?[^\[\]]+$`)

// TestHandlerLines: output of many instances at once comes as whole lines, with marks on wish.
func TestHandlerLines(t *testing.T) {
	e := newEngine(t)
	for _, version := range bothWASI {
		for _, mark := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, marks %v", version, mark), func(t *testing.T) {
				s := newSite(t, e, "http-kitchen-"+version, runtime.HTTP{MarkLines: mark, AccessLog: true, Reuse: 2})
				for _, a := range s.asks(60, "/output?secret") {
					a.wants(t, 200, "hello\n")
				}
				s.logs("GET /output HTTP/1.1 200 6 ")
				soon(t, func() error {
					out, errs := s.screen.text()
					lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
					if len(lines) != 120 || strings.Count(errs, "\n") != 60 {
						return fmt.Errorf("%d and %d lines: %q", len(lines), strings.Count(errs, "\n"), out)
					}
					for _, line := range lines {
						if !strings.Contains(line, "GET /output") && (!marked.MatchString(line) || strings.HasPrefix(line, "[") != mark) {
							return fmt.Errorf("a line %q", line)
						}
					}
					if strings.Contains(out+errs, "secret") {
						return errors.New("the log has a query")
					}
					return nil
				})
			})
		}
	}
}

// TestHandlerOfPod: a handler of a pod needs an address, and nothing runs beside it.
func TestHandlerOfPod(t *testing.T) {
	e := newEngine(t)
	of := runtime.Origin{Pod: "p"}
	for _, version := range bothWASI {
		name := "http-hello-" + version
		_, err := tryStart(t, e, guests.Component(t, name), runtime.Spec{Of: of})
		if err == nil || !strings.Contains(err.Error(), "krustlet-wasi.dev/listen") {
			t.Errorf("without an address: %v", err)
		}
		if _, err = tryStart(t, e, guests.Component(t, name), runtime.Spec{}); err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("outside of pods: %v", err)
		}
		s := newSiteOf(t, e, name, runtime.Spec{Of: of})
		s.get("/").wants(t, 200, "hello\n")
		_, err = tryStart(t, e, guests.Component(t, name), runtime.Spec{Of: runtime.Origin{Pod: "p", Beside: t.Name()}})
		if err == nil || !strings.Contains(err.Error(), "command") {
			t.Errorf("a command beside it: %v", err)
		}
		taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, err = tryStart(t, e, guests.Component(t, name), runtime.Spec{HTTP: runtime.HTTP{Listen: []string{taken.Addr().String()}}})
		if err == nil || !strings.Contains(err.Error(), "in use") && !strings.Contains(err.Error(), "holds") {
			t.Errorf("at an address that is in use: %v", err)
		}
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
		s.get("/").wants(t, 200, "hello\n")
	}
}
