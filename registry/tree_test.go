package registry

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

// twoLayers publishes app, an image with a root filesystem of two layers, and returns its reference
// and the upper layer.
func twoLayers(t *testing.T, srv *server) (ref string, upper packedLayer) {
	t.Helper()
	upper = gzipLayer(t, "data", "d")
	srv.pushImage(t, "app", image(t, entrypointOf("/app.wasm"), gzipLayer(t, "app.wasm", string(wasm("app", 1))), upper))
	return srv.host() + "/app", upper
}

// entriesOf are the names in a folder.
func entriesOf(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestPullUnpacksNothing: an image that was pulled to be kept is unpacked at its lookup, without
// the registry. Any process can do so.
func TestPullUnpacksNothing(t *testing.T) {
	srv := newServer(t)
	ref, upper := twoLayers(t, srv)
	s := newStore(t, Config{})
	p, err := s.Pull(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	if roots := entriesOf(t, s.roots.dir); len(roots) != 0 || p.Root != nil || p.Path != "" {
		t.Errorf("unpacked %v, %+v", roots, p.Module)
	}
	found, err := s.Find(ref)
	if err != nil || found.Size != p.Size || found.ID != p.ImageID || p.Size <= int64(len(upper.packed)) || p.Image != ref {
		t.Errorf("in the store: %+v, %v; pulled: %+v", found, err, p)
	}
	srv.Close()
	for _, store := range []*Store{newStore(t, Config{Dir: s.dir}), s} {
		m, present, err := store.found(ref)
		if err != nil || !present || m.ImageID != p.ImageID || m.Size != p.Size || !reflect.DeepEqual(m.Config, p.Config) {
			t.Fatalf("looked up: %+v, %v, %v; pulled: %+v", m, present, err, p)
		}
		if got := shown(t, m); len(got) != 2 || got["data"] != "d" || filepath.Base(m.Path) != "app.wasm" {
			t.Errorf("unpacked %q", got)
		}
	}
	if roots := entriesOf(t, s.roots.dir); len(roots) != 1 {
		t.Errorf("root filesystems: %v", roots)
	}
}

// TestPullOfModuleIsWhole: an image that is one module is complete after the pull.
func TestPullOfModuleIsWhole(t *testing.T) {
	srv := newServer(t)
	module := wasm("app", 100)
	srv.push(t, "app:v1", module)
	s, ref := newStore(t, Config{}), srv.host()+"/app:v1"
	p, err := s.Pull(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	checkModule(t, p.Module, module)
	if m, present, err := s.found(ref); err != nil || !present || !reflect.DeepEqual(m, p.Module) {
		t.Errorf("looked up: %+v, %v, %v; pulled: %+v", m, present, err, p.Module)
	}
}

// TestLookupTogether: any number of processes may unpack one image at once, even a damaged one, and
// all see the same result.
func TestLookupTogether(t *testing.T) {
	srv := newServer(t)
	ref, _ := twoLayers(t, srv)
	s := newStore(t, Config{})
	if _, err := s.Pull(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	var processes []*Store
	for range 8 {
		processes = append(processes, newStore(t, Config{Dir: s.dir}))
	}
	for _, damage := range []string{"not there", "no index"} {
		var lookups sync.WaitGroup
		found := make([]*os.File, 2*len(processes))
		for i := range found {
			lookups.Go(func() {
				m, present, err := processes[i/2].found(ref)
				if err == nil && present {
					found[i], err = os.Open(filepath.Join(m.Root.Dir, "data"))
				}
				if err != nil || !present {
					t.Errorf("%s: %v, %v", damage, present, err)
				}
			})
		}
		lookups.Wait()
		roots := entriesOf(t, s.roots.dir)
		if len(roots) != 1 || t.Failed() {
			t.Fatalf("%s: root filesystems: %v", damage, roots)
		}
		for _, f := range found {
			if !sameFile(t, f, found[0]) {
				t.Errorf("%s: what one had found was replaced", damage)
			}
		}
		for _, f := range found {
			_ = f.Close() // the file was only opened
		}
		if err := os.Remove(filepath.Join(s.roots.path(roots[0]), modulesFile)); err != nil {
			t.Fatal(err)
		}
	}
}

func sameFile(t *testing.T, a, b *os.File) bool {
	t.Helper()
	one, err := a.Stat()
	other, otherErr := b.Stat()
	if err = errors.Join(err, otherErr); err != nil {
		t.Fatal(err)
	}
	return os.SameFile(one, other)
}

// TestUnpackingGivenUp: a caller that gives up while an image is unpacked leaves nothing
// incomplete, and the next caller gets the image.
func TestUnpackingGivenUp(t *testing.T) {
	srv := newServer(t)
	ref, _ := twoLayers(t, srv)
	s := newStore(t, Config{})
	if _, err := s.Pull(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, present, err := s.Lookup(ctx, ref, nil); present || !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v, %v", present, err)
	}
	if roots := entriesOf(t, s.roots.dir); len(roots) != 0 {
		t.Errorf("left %v", roots)
	}
	if _, present, err := s.found(ref); !present || err != nil {
		t.Errorf("the next: %v, %v", present, err)
	}
}

// TestLayerLost: an image that cannot be unpacked because a layer is missing counts as absent, and
// a pull fetches only this layer. An image that was unpacked needs no layer.
func TestLayerLost(t *testing.T) {
	srv := newServer(t)
	ref, upper := twoLayers(t, srv)
	s := newStore(t, Config{})
	lose := func() {
		t.Helper()
		if err := os.Remove(s.blobs.path(digestOf(upper.packed))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Pull(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	lose()
	if _, present, err := s.found(ref); present || err != nil {
		t.Errorf("without a layer: %v, %v", present, err)
	}
	srv.reset()
	if _, err := s.pulled(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if n := srv.count(http.MethodGet, "/blobs/"); n != 2 {
		t.Errorf("%d blobs were fetched, want the config and a layer", n)
	}
	lose()
	if _, present, err := s.found(ref); !present || err != nil {
		t.Errorf("unpacked: %v, %v", present, err)
	}
}

// TestLayerDamaged: a layer that was damaged on disk is detected when it is unpacked, and the next
// pull fetches it again.
func TestLayerDamaged(t *testing.T) {
	srv := newServer(t)
	ref, upper := twoLayers(t, srv)
	s := newStore(t, Config{})
	if _, err := s.Pull(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	damaged := make([]byte, len(upper.packed))
	if err := os.WriteFile(s.blobs.path(digestOf(upper.packed)), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.found(ref)
	errorcheck.Is(t, err, fault.ErrInvalidImage, "layer 2 of 2")
	checkAbsent(t, s, ref)
	if m, err := s.pulled(t.Context(), ref); err != nil || shown(t, m)["data"] != "d" {
		t.Errorf("pulled again: %+v, %v", m, err)
	}
}

// TestRefusedToRunIsShown: an image that was fetched to run but has no module keeps its files,
// which a volume shows.
func TestRefusedToRunIsShown(t *testing.T) {
	srv := newServer(t)
	srv.pushImage(t, "app", image(t, v1.ConfigFile{}, gzipLayer(t, "a", "b")))
	s, ref := newStore(t, Config{}), srv.host()+"/app"
	_, err := s.Pull(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := s.PullFiles(t.Context(), ref, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.found(ref)
	errorcheck.Is(t, err, fault.ErrNotWasm, "no WebAssembly module")
	for _, name := range []string{ref, pulled.ImageID} {
		if _, present, err := s.found(name); present || err != nil {
			t.Errorf("%s to run: %v, %v", name, present, err)
		}
		if m, present, err := s.LookupFiles(t.Context(), name, nil); err != nil || !present || shown(t, m)["a"] != "b" {
			t.Errorf("%s to be shown: %v, %v", name, present, err)
		}
	}
	// A volume may also show an image that was fetched to run.
	s = newStore(t, Config{})
	if _, err := s.Pull(t.Context(), ref, nil); err != nil {
		t.Fatal(err)
	}
	if m, present, err := s.LookupFiles(t.Context(), ref, nil); err != nil || !present || shown(t, m)["a"] != "b" {
		t.Errorf("fetched to be run, to be shown: %v, %v", present, err)
	}
}

// TestNobodyUnpacksWhatIsNotTheirs: a caller that may not use an image cannot cause its unpacking.
func TestNobodyUnpacksWhatIsNotTheirs(t *testing.T) {
	srv := newServer(t)
	ref, _ := twoLayers(t, srv)
	srv.guard("right")
	s := newStore(t, Config{})
	if _, err := s.Pull(t.Context(), ref, keys{secretOf("one", "right")}); err != nil {
		t.Fatal(err)
	}
	if _, present, err := s.Lookup(t.Context(), ref, keys{secretOf("two", "wrong")}); present || err != nil {
		t.Errorf("present %v, %v", present, err)
	}
	if roots := entriesOf(t, s.roots.dir); len(roots) != 0 {
		t.Errorf("unpacked %v", roots)
	}
	if _, present, err := s.Lookup(t.Context(), ref, keys{secretOf("one", "right")}); !present || err != nil {
		t.Errorf("for whom it was pulled: %v, %v", present, err)
	}
}

// TestRecordOfEarlierVersion: a record without the digests of the unpacked layers is valid as long
// as the root filesystem exists.
func TestRecordOfEarlierVersion(t *testing.T) {
	srv := newServer(t)
	ref, _ := twoLayers(t, srv)
	s := newStore(t, Config{})
	m, err := s.pulled(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ref + ":latest", m.ImageID} {
		var fields map[string]any
		data, err := os.ReadFile(s.refs.path(name))
		if err == nil {
			err = json.Unmarshal(data, &fields)
		}
		if err != nil || fields["diffIDs"] == nil {
			t.Fatalf("%s: %s, %v", name, data, err)
		}
		delete(fields, "diffIDs")
		if data, err = json.Marshal(fields); err == nil {
			err = os.WriteFile(s.refs.path(name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, present, err := s.found(ref); !present || err != nil {
		t.Errorf("unpacked: %v, %v", present, err)
	}
	if err := os.RemoveAll(strings.TrimSuffix(m.Root.Dir, "/"+treeFolder)); err != nil {
		t.Fatal(err)
	}
	if _, present, err := s.found(ref); present || err != nil {
		t.Errorf("not unpacked: %v, %v", present, err)
	}
	if _, err := s.pulled(t.Context(), ref); err != nil {
		t.Error(err)
	}
}
