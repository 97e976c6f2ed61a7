package registry

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
)

// afterCrash opens the store like the first process after a start of the machine.
func afterCrash(t *testing.T, s *Store) *Store {
	t.Helper()
	s.Close()
	if err := os.WriteFile(filepath.Join(s.dir, bootFile), []byte("another boot"), 0o600); err != nil {
		t.Fatal(err)
	}
	return newStore(t, Config{Dir: s.dir})
}

// TestCloseSyncs: when the store is closed, everything that was pulled is marked as synced. It is
// not checked again.
func TestCloseSyncs(t *testing.T) {
	srv := newServer(t)
	ref, upper := twoLayers(t, srv)
	s := newStore(t, Config{})
	m, err := s.pulled(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	layer, kept := s.blobs.path(digestOf(upper.packed)), filepath.Join(m.Root.Dir, "kept")
	if info, err := os.Stat(layer); err != nil || info.Mode().Perm() != syncedMode {
		t.Fatalf("a layer: %v, %v", info.Mode(), err)
	}
	if err := errors.Join(os.Chmod(layer, 0o600), os.WriteFile(layer, nil, 0), os.Chmod(layer, syncedMode), os.WriteFile(kept, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	afterCrash(t, s)
	for _, path := range []string{layer, kept} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// TestCrash: after a crash of the machine the store is checked once. Complete blobs are kept,
// damaged ones are fetched again, and a root filesystem is made again.
func TestCrash(t *testing.T) {
	srv := newServer(t)
	ref, upper := twoLayers(t, srv)
	for _, tt := range []struct {
		name    string
		damage  func(layer string) error
		present bool
	}{
		{"nothing", func(string) error { return nil }, true},
		{"half a layer", func(layer string) error { return os.Truncate(layer, 10) }, false},
		{"zeros", func(layer string) error { return os.WriteFile(layer, make([]byte, len(upper.packed)), 0) }, false},
		{"no layer", os.Remove, false},
	} {
		s := newStore(t, Config{})
		m, err := s.pulled(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		layer, files := s.blobs.path(digestOf(upper.packed)), filepath.Join(m.Root.Dir, "data")
		err = errors.Join(os.Chmod(layer, 0o600), tt.damage(layer), roots{boot: "an earlier boot"}.mark(filepath.Dir(m.Root.Dir)), os.WriteFile(files, nil, 0))
		if err != nil {
			t.Fatal(err)
		}
		s = afterCrash(t, s)
		if tt.present {
			if info, err := os.Stat(layer); err != nil || info.Mode().Perm() != syncedMode {
				t.Errorf("%s: the layer: %v, %v", tt.name, info, err)
			}
		}
		srv.reset()
		m, present, err := s.found(ref)
		if err != nil || present != tt.present || srv.count(http.MethodGet, "") != 0 {
			t.Errorf("%s is damaged: present %v, %v", tt.name, present, err)
		}
		if !present {
			if m, err = s.pulled(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
		}
		if got := shown(t, m); got["data"] != "d" {
			t.Errorf("%s is damaged: the image has %q", tt.name, got)
		}
		// In the same boot the store is not checked.
		if err := errors.Join(os.Chmod(layer, 0o600), os.WriteFile(layer, nil, 0)); err != nil {
			t.Fatal(err)
		}
		s.Close()
		newStore(t, Config{Dir: s.dir})
		if _, err := os.Stat(layer); err != nil {
			t.Error(err)
		}
	}
}

// TestLooksTwice: if the store cannot note that it was checked, it opens anyway. It keeps what was
// made in this boot, because containers may run from it.
func TestLooksTwice(t *testing.T) {
	srv := newServer(t)
	ref, upper := twoLayers(t, srv)
	s := newStore(t, Config{})
	m, err := s.pulled(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	boot, layer := filepath.Join(s.dir, bootFile), s.blobs.path(digestOf(upper.packed))
	err = errors.Join(s.roots.mark(filepath.Dir(m.Root.Dir)), os.Chmod(layer, 0o600), os.Remove(boot), os.Mkdir(boot, 0o700))
	if err != nil {
		t.Fatal(err)
	}
	newStore(t, Config{Dir: s.dir})
	if got := shown(t, m); got["data"] != "d" {
		t.Errorf("the root filesystem has %q", got)
	}
	if info, err := os.Stat(layer); err != nil || info.Mode().Perm() != syncedMode {
		t.Errorf("the layer: %v, %v", info, err)
	}
}

// TestCrashOfRecords: if a crash left only the tag's record of an image, the image is listed and
// can be removed like any other.
func TestCrashOfRecords(t *testing.T) {
	srv := newServer(t)
	ref, _ := twoLayers(t, srv)
	s := newStore(t, Config{})
	m, err := s.pulled(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.refs.path(m.ImageID), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = afterCrash(t, s)
	if images, err := s.Images(); err != nil || len(images) != 1 || images[0].ID != m.ImageID || len(images[0].Tags) != 1 {
		t.Errorf("there are %+v, %v", images, err)
	}
	if _, err := s.Remove(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	checkAbsent(t, s, ref)
}

// TestUpdateIsSynced: the new meaning of a reference is synced before the old one is replaced.
func TestUpdateIsSynced(t *testing.T) {
	srv := newServer(t)
	s, ref := newStore(t, Config{}), srv.host()+"/app:v1"
	var path string
	for i := range 2 {
		srv.push(t, "app:v1", wasm("app", i))
		p, err := s.Pull(t.Context(), ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		path = p.Path
	}
	info, err := os.Stat(path)
	record, recordErr := os.Stat(s.refs.path(ref))
	if err = errors.Join(err, recordErr); err != nil {
		t.Fatal(err)
	}
	changed := info.Sys().(*syscall.Stat_t).Ctim
	if info.Mode().Perm() != syncedMode || time.Unix(changed.Unix()).After(record.ModTime()) {
		t.Errorf("the module was marked as %v at %v, and remembered at %v", info.Mode(), time.Unix(changed.Unix()), record.ModTime())
	}
}

// heldLayer pushes app:v1 and app:v2 with the same two layers. The server answers for the second
// layer only after release is closed. asked gets a value when the layer is requested.
func heldLayer(t *testing.T) (srv *server, asked, release chan struct{}) {
	t.Helper()
	srv = newServer(t)
	second := gzipLayer(t, "b", "2")
	for _, tag := range []string{"v1", "v2"} {
		srv.pushImage(t, "app:"+tag, image(t, entrypointOf("/app.wasm", tag), gzipLayer(t, "app.wasm", string(wasm("app", 1))), second))
	}
	asked, release = make(chan struct{}, 10), make(chan struct{})
	srv.answer("/blobs/"+digestOf(second.packed), func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		<-release
		_, _ = w.Write(second.packed)
	})
	return srv, asked, release
}

// TestUnpackedWhileFetched: a layer is unpacked before the layers above it have arrived.
func TestUnpackedWhileFetched(t *testing.T) {
	srv, _, release := heldLayer(t)
	s := newStore(t, Config{})
	ended := make(chan error, 1)
	go func() {
		_, err := s.pulled(t.Context(), srv.host()+"/app:v1")
		ended <- err
	}()
	deadline := time.Now().Add(20 * time.Second)
	for {
		found, err := filepath.Glob(filepath.Join(s.roots.dir, tempPrefix+"*", treeFolder, "app.wasm"))
		if err != nil || time.Now().After(deadline) {
			t.Errorf("the first layer is not unpacked: %v", err)
			break
		}
		if len(found) == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestUnpackingIsTakenOver: a caller that gives up does not cancel the work for other callers that
// want the same layers.
func TestUnpackingIsTakenOver(t *testing.T) {
	srv, asked, release := heldLayer(t)
	s := newStore(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.pulled(ctx, srv.host()+"/app:v1")
		first <- err
	}()
	<-asked
	go func() {
		_, err := s.pulled(t.Context(), srv.host()+"/app:v2")
		second <- err
	}()
	eventually.True(t, "the second pull asks for its manifest", func() bool { return srv.count(http.MethodGet, "/manifests/v2") > 0 })
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first ended with %v", err)
	}
	close(release)
	if err := <-second; err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(s.roots.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("root filesystems: %v, %v", entries, err)
	}
}
