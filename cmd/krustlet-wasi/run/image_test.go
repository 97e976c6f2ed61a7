package run

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	containerregistry "github.com/google/go-containerregistry/pkg/registry"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// imageServer is a registry on loopback that counts requests.
type imageServer struct {
	*httptest.Server
	requests atomic.Int64
	modules  atomic.Int64 // blobs that were fetched
}

func newImageServer(t *testing.T) *imageServer {
	s := &imageServer{}
	handler := containerregistry.New(containerregistry.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.requests.Add(1)
		if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
			s.modules.Add(1)
		}
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *imageServer) push(t *testing.T, name string, module []byte) (image string) {
	t.Helper()
	image = s.Listener.Addr().String() + "/" + name
	if _, err := registry.Push(t.Context(), image, module, registry.PushConfig{}); err != nil {
		t.Fatal(err)
	}
	return image
}

func TestRunImage(t *testing.T) {
	server := newImageServer(t)
	module, err := os.ReadFile(kitchen(t))
	if err != nil {
		t.Fatal(err)
	}
	image := server.push(t, "apps/cook:v1", module)
	r := newRunner(t)
	r.cache = ""
	// The compiled code of other tests, so that this test need not compile.
	cache := filepath.Join(r.home, ".cache", "krustlet-wasi")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(guests.CacheDir(t), filepath.Join(cache, "compiled")); err != nil {
		t.Fatal(err)
	}

	want := lines("cook", "args", "x")
	got := r.run(image, "args", "x")
	if got.code != 0 || got.stdout != want || got.stderr != "krustlet-wasi: pulling "+image+"\n" {
		t.Errorf("first: %+v", got)
	}
	asked := server.requests.Load()
	for _, flags := range [][]string{nil, {"--pull=missing"}, {"--pull=never"}} {
		if got := r.ok(append(flags, image, "args", "x")...); got != want {
			t.Errorf("%q: %s", flags, got)
		}
	}
	if n := server.requests.Load() - asked; n != 0 {
		t.Errorf("the registry was asked %d times for an image that is in the cache", n)
	}
	// From here on the tag means another module. A run sees that when it asks the registry.
	server.push(t, "apps/cook:v1", guests.Tiny(t))
	if got := r.ok(image, "args", "x"); got != want {
		t.Errorf("not pulled: %s", got)
	}
	if got := r.ok("--quiet", "--pull=always", image, "x"); got != "tiny\n" {
		t.Errorf("pulled: %s", got)
	}
	if got := r.run(image+"-other", "x"); got.code != 127 || !strings.Contains(got.stderr, "has no") {
		t.Errorf("an image that is not there: %+v", got)
	}
	server.Close()
	if got := r.ok(image, "x"); got != "tiny\n" {
		t.Errorf("without the registry: %s", got)
	}
	if got := r.run("--pull=always", image, "x"); got.code != 125 || !strings.Contains(got.stderr, "connection refused") {
		t.Errorf("without the registry, but asked for it: %+v", got)
	}
	// A file with the name of an image is preferred, and so is a path.
	r.file("cook", guests.Tiny(t))
	if got := r.ok("cook", "x"); got != "tiny\n" {
		t.Errorf("a file named cook: %s", got)
	}
}

// TestRunConcurrently: many runs at the same time, from an empty cache, of one image and of
// several.
func TestRunConcurrently(t *testing.T) {
	server := newImageServer(t)
	const images, each = 4, 5
	var names [images]string
	for i := range names {
		// A custom section makes the modules different.
		module := append(guests.Tiny(t), 0, 2, 1, 'a'+byte(i))
		names[i] = server.push(t, fmt.Sprintf("tiny%d:v1", i), module)
	}
	file := newRunner(t).file("tiny.wasm", guests.Tiny(t))
	cache := filepath.Join(t.TempDir(), "cache")
	var wg sync.WaitGroup
	for i := range images * each {
		wg.Go(func() {
			r := newRunner(t)
			r.cache = cache
			target := names[i%images]
			if i%3 == 0 {
				target = file
			}
			if got := r.run("--quiet", target, "x", "y"); got.code != 1 || got.stdout != "tiny\n" || got.stderr != "" {
				t.Errorf("%s: %+v", target, got)
			}
		})
	}
	wg.Wait()
	if n := server.modules.Load(); n > images {
		t.Errorf("%d modules were fetched for %d images", n, images)
	}
	err := filepath.WalkDir(cache, func(path string, entry os.DirEntry, err error) error {
		if strings.HasPrefix(entry.Name(), ".") {
			t.Errorf("%s is left behind", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestRunStopsWhilePulling: a signal ends a pull. It also ends the wait for another run's pull.
func TestRunStopsWhilePulling(t *testing.T) {
	asked := make(chan struct{}, 100)
	hold := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-hold
	}))
	defer server.Close()
	defer close(hold)
	image := server.Listener.Addr().String() + "/slow:v1"
	cache := filepath.Join(t.TempDir(), "cache")
	start := func() *running {
		r := newRunner(t)
		r.cache = cache
		return r.start(image)
	}
	first := start()
	<-asked
	second := start() // waits for the first
	await(t, "the second run waits for the first", func() bool { return waitsForLock(second) })
	for _, p := range []*running{second, first} {
		p.signal(syscall.SIGTERM)
		p.ended(143)
	}
}

// await polls for something that must happen soon.
func await(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		<-tick.C
	}
}

// TestRunWithoutCache: a user without a writable home can run modules too.
func TestRunWithoutCache(t *testing.T) {
	tiny := newRunner(t).file("tiny.wasm", guests.Tiny(t))
	for _, home := range []string{"", "/proc"} {
		r := newRunner(t)
		r.cache, r.home = "", home
		got := r.run(tiny, "x") // also checks that nothing is left behind
		if got.code != 0 || got.stdout != "tiny\n" || (home != "") != strings.Contains(got.stderr, "set --cache-dir") {
			t.Errorf("HOME=%s: %+v", home, got)
		}
	}
	r := newRunner(t)
	r.cache = "/proc/cache"
	if got := r.run(tiny, "x"); got.code != 125 || !strings.Contains(got.stderr, "using the cache directory /proc/cache") {
		t.Errorf("a cache directory that is asked for and cannot be: %+v", got)
	}
	r.cache = t.TempDir()
	if err := os.Chmod(r.cache, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := r.run(tiny, "x"); got.code != 0 || !strings.Contains(got.stderr, "others may write") {
		t.Errorf("a cache directory that others may write to: %+v", got)
	}
}

// waitsForLock reports whether the process has opened the lock of an image.
func waitsForLock(p *running) bool {
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	return slices.ContainsFunc(fds, func(fd string) bool {
		target, _ := os.Readlink(fd) // if the descriptor is closed by now, the link is no lock
		return strings.HasSuffix(target, ".lock")
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func httpGet(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Timeout: time.Minute}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
