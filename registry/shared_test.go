package registry

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
)

func TestConcurrentPullsShare(t *testing.T) {
	srv := newServer(t)
	module := wasm("popular", 100_000)
	srv.push(t, "app:v1", module)
	srv.push(t, "app:v2", module)
	s := newStore(t, Config{})
	var pulls sync.WaitGroup
	for i := range 40 {
		image := srv.host() + "/app:v1"
		if i%2 == 1 {
			image = srv.host() + "/app:v2"
		}
		pulls.Go(func() {
			m, err := s.pulled(t.Context(), image)
			if err != nil {
				t.Error(err)
				return
			}
			checkModule(t, m, module)
			if m.Image != image {
				t.Errorf("image %q, asked for %q", m.Image, image)
			}
		})
	}
	pulls.Wait()
	if n := srv.count("GET", "/blobs/"); n != 1 {
		t.Errorf("%d requests for one module", n)
	}
}

// gate makes the server hold blobs back until open is called.
func gate(srv *server, module []byte) (asked chan struct{}, open func()) {
	asked = make(chan struct{}, 100)
	opened := make(chan struct{})
	srv.answer("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-opened:
			_, _ = w.Write(module)
		case <-r.Context().Done():
		}
	})
	return asked, sync.OnceFunc(func() { close(opened) })
}

func TestPullOutlivesOneOfItsWaiters(t *testing.T) {
	srv := newServer(t)
	module := wasm("x", 1000)
	srv.push(t, "app:v1", module)
	asked, open := gate(srv, module)
	defer open()
	s := newStore(t, Config{})
	image := srv.host() + "/app:v1"

	first, giveUp := context.WithCancel(t.Context())
	firstEnded := make(chan error, 1)
	go func() { _, err := s.pulled(first, image); firstEnded <- err }()
	<-asked
	secondEnded := make(chan error, 1)
	go func() { _, err := s.pulled(t.Context(), image); secondEnded <- err }()
	awaitWaiters(t, s, image, 2)
	giveUp()
	if err := <-firstEnded; !errors.Is(err, context.Canceled) {
		t.Errorf("the one that gave up: %v", err)
	}
	open()
	if err := <-secondEnded; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
	if n := srv.count("GET", "/blobs/"); n != 1 {
		t.Errorf("%d requests for one module", n)
	}
}

// awaitWaiters waits until n callers share the pull of image.
func awaitWaiters(t *testing.T, s *Store, image string, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		s.pulls.mu.Lock()
		enough := false
		for key, k := range s.pulls.running {
			enough = enough || strings.HasPrefix(key, image+" ") && k.waiting == n
		}
		s.pulls.mu.Unlock()
		if enough {
			return
		}
	}
	t.Fatalf("never %d callers", n)
}

func TestPullEndsWithItsLastWaiter(t *testing.T) {
	srv := newServer(t)
	module := wasm("x", 1000)
	srv.push(t, "app:v1", module)
	asked, open := gate(srv, module)
	defer open()
	s := newStore(t, Config{})
	image := srv.host() + "/app:v1"
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	for range 3 {
		go func() { _, err := s.pulled(ctx, image); ended <- err }()
	}
	<-asked
	awaitWaiters(t, s, image, 3)
	giveUp()
	for range 3 {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
	checkAbsent(t, s, image)
	open()
	if _, err := s.pulled(t.Context(), image); err != nil {
		t.Errorf("pulled again: %v", err)
	}
}

func TestPullWithEndedContext(t *testing.T) {
	srv := newServer(t)
	srv.push(t, "app:v1", wasm("x", 1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := newStore(t, Config{}).pulled(ctx, srv.host()+"/app:v1")
	errorcheck.Is(t, err, context.Canceled)
	if len(srv.requests) != 0 {
		t.Errorf("requests: %v", srv.requests)
	}
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c calls[int]
		var runs atomic.Int32
		slow := func(ctx context.Context) (int, error) {
			n := runs.Add(1)
			select {
			case <-time.After(time.Minute):
				return int(n), nil
			case <-ctx.Done():
				time.Sleep(time.Second) // time for cleaning up
				return 0, ctx.Err()
			}
		}
		type result struct {
			value int
			err   error
			after time.Duration
		}
		start := time.Now()
		call := func(patience time.Duration) <-chan result {
			done := make(chan result, 1)
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				v, err := c.do(ctx, "k", slow)
				done <- result{v, err, time.Since(start)}
			}()
			synctest.Wait()
			return done
		}
		impatient, patient := call(10*time.Second), call(time.Hour)
		if r := <-impatient; !errors.Is(r.err, context.DeadlineExceeded) || r.after != 10*time.Second {
			t.Errorf("impatient: %+v", r)
		}
		if r := <-patient; r.err != nil || r.value != 1 || r.after != time.Minute {
			t.Errorf("patient: %+v", r)
		}
		// All callers give up: the last one waits for the end of the pull, and a later caller
		// starts another.
		start = time.Now()
		a, b := call(10*time.Second), call(20*time.Second)
		<-a
		time.Sleep(10*time.Second + time.Millisecond)
		again := call(time.Hour)
		if r := <-b; !errors.Is(r.err, context.DeadlineExceeded) || r.after != 21*time.Second {
			t.Errorf("last to give up: %+v", r)
		}
		if r := <-again; r.err != nil || r.value != 3 {
			t.Errorf("again: %+v", r)
		}
		if len(c.running) != 0 {
			t.Errorf("%d calls left", len(c.running))
		}
	})
}
