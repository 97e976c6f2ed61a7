package registry

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestUnsyncedRoot: a root filesystem that may not be on disk is of use until the machine starts anew, and is made again then.
func TestUnsyncedRoot(t *testing.T) {
	srv := newServer(t)
	ref := srv.host() + "/app"
	srv.pushImage(t, "app", image(t, entrypointOf("/app.wasm"), gzipLayer(t, "app.wasm", string(wasm("app", 1)))))
	s := newStore(t, Config{})
	m, err := s.pulled(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	mark := filepath.Join(filepath.Dir(m.Root.Dir), markFile)
	boot := s.roots.boot
	for _, tt := range []struct {
		name, mark, boot string
		kept             bool
	}{
		{"synced", synced + boot, boot, true},
		{"synced in another boot", synced + boot, "other", true},
		{"not synced", unsynced + boot, boot, true},
		{"not synced in another boot", unsynced + boot, "other", false},
		{"a mark that was lost", "", boot, false},
		{"a mark of zeros", string(make([]byte, len(boot)+1)), boot, false},
	} {
		if tt.name == "synced" {
			if got, err := os.ReadFile(mark); string(got) != tt.mark || err != nil {
				t.Fatalf("after Close the mark is %q, %v", got, err)
			}
		}
		damage := filepath.Join(m.Root.Dir, "damage")
		if err := errors.Join(os.WriteFile(mark, []byte(tt.mark), 0o600), os.WriteFile(damage, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		s.roots.boot = tt.boot
		if _, present, err := s.found(ref); !present || err != nil {
			t.Errorf("%s: present %v, %v", tt.name, present, err)
		}
		if _, err := os.Stat(damage); (err == nil) != tt.kept {
			t.Errorf("%s: kept %v, want %v", tt.name, err == nil, tt.kept)
		}
		s.Close()
		// One that is removed meanwhile is no error.
		if err := s.roots.sync(s.roots.path("removed")); err != nil {
			t.Error(err)
		}
	}
}

// heldLayer pushes app:v1 and app:v2, of the same two layers, the second of which is not answered for before release is closed; asked is
// told when it is asked for.
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

// TestUnpackedWhileFetched: a layer is unpacked before those above it have come.
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

// TestUnpackingIsTakenOver: who gives up takes nobody along who wants the same layers.
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
	eventually(t, "the second pull asks for its manifest", func() bool { return srv.count(http.MethodGet, "/manifests/v2") > 0 })
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
