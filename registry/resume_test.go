package registry

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// breaking serves blobs like a registry that supports ranges. It breaks each transfer off after
// some bytes.
type breaking struct {
	content []byte
	after   int
	ranges  bool
	asked   atomic.Int64
	sent    atomic.Int64
}

func (b *breaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asked.Add(1)
	rest := b.content
	if from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && b.ranges {
		n, err := strconv.Atoi(strings.TrimSuffix(from, "-"))
		if err != nil || n >= len(b.content) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		rest = rest[n:]
		w.Header().Set("Content-Range", "bytes "+from+strconv.Itoa(len(b.content)-1)+"/"+strconv.Itoa(len(b.content)))
		w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
		w.WriteHeader(http.StatusPartialContent)
	} else {
		w.Header().Set("Content-Length", strconv.Itoa(len(rest)))
	}
	n, _ := w.Write(rest[:min(b.after, len(rest))])
	b.sent.Add(int64(n))
	if b.after < len(rest) {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestTransferGoesOn(t *testing.T) {
	for name, tt := range map[string]struct {
		ranges bool
		after  int
		asked  int64
		fails  bool
	}{
		"with ranges":            {true, 400_000, 3, false},
		"without ranges":         {false, 400_000, 3, true},
		"whole at once":          {true, 2_000_000, 1, false},
		"broken in the preamble": {true, 4, 2, true},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			module := wasm("long", 1_000_000)
			srv.push(t, "app:v1", module)
			b := &breaking{content: module, after: tt.after, ranges: tt.ranges}
			srv.answer("/blobs/", b.ServeHTTP)
			s := newStore(t, Config{})
			m, err := s.pulled(t.Context(), srv.host()+"/app:v1")
			srv.Close() // after it has counted
			if tt.fails {
				errorcheck.Is(t, err, nil, "unexpected EOF")
			} else if err != nil {
				t.Fatal(err)
			} else {
				checkModule(t, m, module)
				if parts := partsOf(t, s); b.sent.Load() != int64(len(module)) || len(parts) > 0 {
					t.Errorf("%d bytes sent for %d; left: %v", b.sent.Load(), len(module), parts)
				}
			}
			if !tt.fails && b.asked.Load() != tt.asked {
				t.Errorf("asked %d times, want %d", b.asked.Load(), tt.asked)
			}
		})
	}
}

func TestPullGoesOnAfterACrash(t *testing.T) {
	module := wasm("crash", 1_000_000)
	for name, tt := range map[string]struct {
		left []byte
		sent int64
	}{
		"half":         {module[:600_000], 400_000},
		"all":          {module, 0},
		"less than 8":  {module[:5], int64(len(module))},
		"damaged":      {append(bytes.Clone(module[:599_999]), 'x'), int64(len(module)) + 400_000},
		"wrong whole":  {append(bytes.Clone(module[:len(module)-1]), 'x'), int64(len(module))},
		"more than it": {append(bytes.Clone(module), 'x'), int64(len(module))},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			srv.push(t, "app:v1", module)
			b := &breaking{content: module, after: 2_000_000, ranges: true}
			srv.answer("/blobs/", b.ServeHTTP)
			s := newStore(t, Config{})
			if err := os.WriteFile(s.blobs.path(digestOf(module))+partSuffix, tt.left, 0o600); err != nil {
				t.Fatal(err)
			}
			s = newStore(t, Config{Dir: s.dir}) // opening the store again does not remove the part
			m, err := s.pulled(t.Context(), srv.host()+"/app:v1")
			if err != nil {
				t.Fatal(err)
			}
			srv.Close() // after it has counted
			checkModule(t, m, module)
			if want := tt.sent; b.sent.Load() < want-100 || b.sent.Load() > want+100 {
				t.Errorf("%d bytes were sent, want some %d", b.sent.Load(), want)
			}
			if parts := partsOf(t, s); len(parts) > 0 {
				t.Errorf("left: %v", parts)
			}
		})
	}
}

func TestCancelledPullGoesOnLater(t *testing.T) {
	srv := newServer(t)
	module := wasm("cancelled", 1_000_000)
	srv.push(t, "app:v1", module)
	begun := make(chan struct{})
	srv.answer("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(module)))
		_, _ = w.Write(module[:500_000])
		w.(http.Flusher).Flush()
		close(begun)
		<-r.Context().Done()
	})
	s := newStore(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, err := s.pulled(ctx, srv.host()+"/app:v1"); ended <- err }()
	<-begun
	part := s.blobs.path(digestOf(module)) + partSuffix
	eventually.True(t, "bytes on disk", func() bool {
		info, err := os.Stat(part)
		return err == nil && info.Size() > 100_000
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	b := &breaking{content: module, after: 2_000_000, ranges: true}
	srv.answer("/blobs/", b.ServeHTTP)
	m, err := s.pulled(t.Context(), srv.host()+"/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m, module)
	if sent := b.sent.Load(); sent > 900_000 {
		t.Errorf("%d bytes were sent again", sent)
	}
}

func TestStoresShareAFolder(t *testing.T) {
	srv := newServer(t)
	module := wasm("shared", 300_000)
	srv.push(t, "app:v1", module)
	srv.push(t, "copy:v1", module)
	asked, open := gate(srv, module)
	one := newStore(t, Config{})
	ended := make(chan error, 2)
	go func() { _, err := one.pulled(t.Context(), srv.host()+"/app:v1"); ended <- err }()
	<-asked
	// Another process opens the folder at the same time. It removes nothing, and waits for the blob
	// that is being fetched.
	two := newStore(t, Config{Dir: one.dir})
	go func() { _, err := two.pulled(t.Context(), srv.host()+"/copy:v1"); ended <- err }()
	eventually.True(t, "the second asks for the manifest", func() bool { return srv.count("GET", "/copy/manifests/") == 1 })
	open()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := srv.count("GET", "/blobs/"); n != 1 {
		t.Errorf("%d requests for one module", n)
	}
	for _, image := range []string{"/app:v1", "/copy:v1"} {
		if m, present, err := one.found(srv.host() + image); !present || err != nil {
			t.Errorf("%s: %v, %v", image, present, err)
		} else {
			checkModule(t, m, module)
		}
	}
}

// smallDisk mounts a disk of 256 KiB. A user who may not mount does so in a namespace, in which the
// test is executed again. Then ok is false, and the test has ended.
func smallDisk(t *testing.T) (dir string, ok bool) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k")
	if err == nil {
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
		return dir, true
	}
	if os.Getuid() == 0 {
		t.Fatalf("mount a small disk: %v", err)
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("in a namespace: %v\n%s", err, out)
	}
	return "", false
}

func TestDiskFull(t *testing.T) {
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	srv := newServer(t)
	module := wasm("large", 1_000_000)
	srv.push(t, "large:v1", module)
	small := wasm("small", 10_000)
	srv.push(t, "small:v1", small)
	s := newStore(t, Config{Dir: filepath.Join(dir, "modules")})
	_, err := s.pulled(t.Context(), srv.host()+"/large:v1")
	errorcheck.Is(t, err, fault.ErrDiskFull, "no room on the disk", dir)
	checkAbsent(t, s, srv.host()+"/large:v1")
	if parts := partsOf(t, s); len(parts) > 0 {
		t.Errorf("left on a full disk: %v", parts)
	}
	m, err := s.pulled(t.Context(), srv.host()+"/small:v1")
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, m, small)
}

func TestTurns(t *testing.T) {
	srv := newServer(t)
	module := wasm("turn", 1000)
	for _, name := range []string{"a", "b", "c"} {
		srv.push(t, name, append(bytes.Clone(module), []byte{0, 2, 1, name[0]}...))
	}
	for limit, want := range map[int]int{1: 1, 2: 2, 0: 3} {
		s := newStore(t, Config{MaxParallelPulls: limit})
		asked := make(chan struct{}, 3)
		opened := make(chan struct{})
		srv.answer("/manifests/", func(w http.ResponseWriter, _ *http.Request) {
			asked <- struct{}{}
			<-opened
			w.WriteHeader(http.StatusTeapot)
		})
		ended := make(chan error, 3)
		for _, name := range []string{"a", "b", "c"} {
			go func() { _, err := s.pulled(t.Context(), srv.host()+"/"+name); ended <- err }()
		}
		for range want {
			<-asked
		}
		eventually.True(t, "all pulls wait", func() bool {
			s.pulls.mu.Lock()
			defer s.pulls.mu.Unlock()
			return len(s.pulls.running) == 3
		})
		if len(asked) > 0 {
			t.Errorf("limit %d: more than %d go on", limit, want)
		}
		close(opened)
		for range 3 {
			errorcheck.Is(t, <-ended, nil, "418")
		}
	}
}

func TestLayersInParallel(t *testing.T) {
	srv := newServer(t)
	img := manyLayers(t, 6)
	srv.pushImage(t, "many", img)
	made, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 10)
	opened := make(chan struct{})
	srv.answer("/blobs/", func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-opened
		w.WriteHeader(http.StatusNotFound)
	})
	s := newStore(t, Config{})
	ref, err := distribution.ParseReference(srv.host()+"/many", s.hosts)
	if err != nil {
		t.Fatal(err)
	}
	remote, err := s.network.Open(t.Context(), ref.Repo, nil, s.stall)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		layers := newFetching(len(made.Layers))
		err := s.fetches.all(t.Context(), remote, ref, plan{layers: made.Layers, kind: manifest.Layer}, layers)
		layers.release()
		ended <- err
	}()
	for range parallelLayers {
		<-asked
	}
	close(opened)
	errorcheck.Is(t, <-ended, fault.ErrNotFound)
	srv.reset()
	layers := newFetching(len(made.Layers))
	if err := s.fetches.all(t.Context(), remote, ref, plan{layers: made.Layers, kind: manifest.Layer}, layers); err != nil {
		t.Fatal(err)
	}
	defer layers.release()
	for i, l := range layers.blobs {
		if l.digest != made.Layers[i].Digest.String() {
			t.Errorf("layer %d is %s", i, l.digest)
		}
		if gone, err := removeUnlocked(l.path); gone || err != nil {
			t.Errorf("a pinned layer: gone %v, %v", gone, err)
		}
	}
}

func manyLayers(t *testing.T, n int) v1.Image {
	t.Helper()
	img := empty.Image
	for i := range n {
		var err error
		if img, err = mutate.AppendLayers(img, static.NewLayer(bytes.Repeat([]byte{byte(i)}, 1000), types.OCILayer)); err != nil {
			t.Fatal(err)
		}
	}
	return img
}
