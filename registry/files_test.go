package registry

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// fileImage is an artifact whose layers are files. The arguments are pairs of a title, which may be
// empty, and a content.
func fileImage(t *testing.T, mediaType types.MediaType, files ...string) v1.Image {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.example.config+json")
	for i := 0; i < len(files); i += 2 {
		add := mutate.Addendum{Layer: static.NewLayer([]byte(files[i+1]), mediaType), MediaType: mediaType}
		if files[i] != "" {
			add.Annotations = map[string]string{manifest.TitleKey: files[i]}
		}
		var err error
		if img, err = mutate.Append(img, add); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

// linuxImage is a container image of Linux programs.
func linuxImage(t *testing.T, architecture string, layers ...v1.Layer) v1.Image {
	t.Helper()
	return image(t, v1.ConfigFile{OS: "linux", Architecture: architecture}, layers...)
}

// shown are the files of an image as a volume shows them: their paths and contents.
func shown(t *testing.T, m Module) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(m.Root.Dir, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(at)
		files[strings.TrimPrefix(at, m.Root.Dir+"/")] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestPullFiles(t *testing.T) {
	srv := newServer(t)
	module := string(wasm("app", 100))
	srv.push(t, "bare", []byte(module))
	srv.pushImage(t, "linux", linuxImage(t, "s390x", gzipLayer(t, "etc/a", "old", "etc/b", "b"), zstdLayer(t, "etc/a", "new")))
	srv.pushImage(t, "rootfs", image(t, entrypointOf("/app.wasm"), gzipLayer(t, "app.wasm", module, "data", "d")))
	srv.pushImage(t, "titled", fileImage(t, "text/plain", "./a.txt", "A", "model.bin", "", "c", "C"))
	srv.pushImage(t, "module", fileImage(t, manifest.LayerType, "named.wasm", module))
	platforms := func(archs ...string) v1.ImageIndex {
		var index v1.ImageIndex = empty.Index
		for _, arch := range archs {
			system, architecture, _ := strings.Cut(arch, "/")
			index = mutate.AppendManifests(index, mutate.IndexAddendum{
				Add:        image(t, v1.ConfigFile{OS: system, Architecture: architecture}, gzipLayer(t, "of", arch)),
				Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: system, Architecture: architecture}},
			})
		}
		return index
	}
	own := "linux/" + runtime.GOARCH
	srv.pushIndex(t, "index-linux", platforms("linux/s390x", own))
	srv.pushIndex(t, "index-wasm", platforms("linux/s390x", own, "wasip1/wasm"))
	srv.pushIndex(t, "index-one", platforms("linux/s390x"))
	for name, want := range map[string]map[string]string{
		"bare":        {"bare.wasm": module},
		"linux":       {"etc/a": "new", "etc/b": "b"},
		"rootfs":      {"app.wasm": module, "data": "d"},
		"titled":      {"a.txt": "A", "model.bin": "", "c": "C"},
		"module":      {"named.wasm": module},
		"index-linux": {"of": own},
		"index-wasm":  {"of": "wasip1/wasm"},
		"index-one":   {"of": "linux/s390x"},
	} {
		t.Run(name, func(t *testing.T) {
			s, img := newStore(t, Config{}), srv.host()+"/"+name
			if _, present, err := s.LookupFiles(t.Context(), img, nil); present || err != nil {
				t.Errorf("before the pull: %v, %v", present, err)
			}
			pulled, err := s.PullFiles(t.Context(), img, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(t, pulled.Module); !maps.Equal(got, want) {
				t.Errorf("shows %q, want %q", got, want)
			}
			if !strings.HasPrefix(pulled.ImageID, img+"@sha256:") || pulled.Image != img {
				t.Errorf("is %+v", pulled.Module)
			}
			found, present, err := newStore(t, Config{Dir: s.dir}).LookupFiles(t.Context(), img, nil)
			if err != nil || !present || found.Root.Dir != pulled.Root.Dir || found.ImageID != pulled.ImageID || found.Size != pulled.Size {
				t.Errorf("later there is %+v, %v, %v", found, present, err)
			}
		})
	}
}

func TestPullFilesRefuses(t *testing.T) {
	srv := newServer(t)
	for name, files := range map[string][]string{
		"up": {"../x", ""}, "dots": {"..", ""}, "dot": {".", ""}, "rooted": {"/etc/passwd", ""}, "folder": {"a/b", ""},
		"backslash": {`a\b`, ""}, "zero": {"a\x00b", ""}, "line": {"a\nb", ""}, "long": {strings.Repeat("a", 256), ""},
		"twice": {"a", "1", "./a", "2"}, "untitled": {"", "x"}, "partly": {"a", "1", "", "2"}, "empty": {},
	} {
		srv.pushImage(t, name, fileImage(t, "text/plain", files...))
		s := newStore(t, Config{})
		_, err := s.PullFiles(t.Context(), srv.host()+"/"+name, nil)
		errorcheck.Is(t, err, fault.ErrInvalidImage)
		if entries, err := os.ReadDir(s.roots.dir); err != nil || len(entries) > 0 {
			t.Errorf("%s left %v, %v", name, entries, err)
		}
	}
	srv.pushImage(t, "large", fileImage(t, "text/plain", "a", "123", "b", "456"))
	_, err := newStore(t, Config{MaxUnpackedSize: 5}).PullFiles(t.Context(), srv.host()+"/large", nil)
	errorcheck.Is(t, err, fault.ErrTooLarge, "up to 5")
	_, err = newStore(t, Config{}).PullFiles(t.Context(), srv.host()+"/none", nil)
	errorcheck.Is(t, err, fault.ErrNotFound)
	local := newStore(t, Config{AllowLocalModules: true})
	_, err = local.PullFiles(t.Context(), "fs//etc/passwd", nil)
	errorcheck.Is(t, err, fault.ErrInvalidReference, "hostPath")
	_, _, err = local.LookupFiles(t.Context(), "fs//etc/passwd", nil)
	errorcheck.Is(t, err, fault.ErrInvalidReference, "hostPath")
}

// The same image may be on disk to run and to be shown, in any order of the pulls. It counts as one
// image.
func TestFilesBesideModule(t *testing.T) {
	srv := newServer(t)
	module := wasm("app", 100)
	srv.push(t, "bare", module)
	srv.pushImage(t, "rootfs", image(t, entrypointOf("/app.wasm"), gzipLayer(t, "app.wasm", string(module))))
	srv.pushImage(t, "linux", linuxImage(t, "amd64", gzipLayer(t, "a", "A")))
	srv.pushImage(t, "nothing", image(t, v1.ConfigFile{}, gzipLayer(t, "b", "B")))
	host := srv.host()
	for _, filesFirst := range []bool{true, false} {
		s := newStore(t, Config{})
		for _, name := range []string{"bare", "rootfs"} {
			for _, files := range []bool{filesFirst, !filesFirst} {
				pull := s.PullToRun
				if files {
					pull = s.PullFiles
				}
				if _, err := pull(t.Context(), host+"/"+name, nil); err != nil {
					t.Fatal(err)
				}
			}
			m, present, err := s.found(host + "/" + name)
			if err != nil || !present || m.Digest != digestOf(module) {
				t.Errorf("%s to run: %+v, %v, %v", name, m, present, err)
			}
			if _, present, err := s.LookupFiles(t.Context(), host+"/"+name, nil); err != nil || !present {
				t.Errorf("%s to show: %v, %v", name, present, err)
			}
		}
		if entries, err := os.ReadDir(s.roots.dir); err != nil || len(entries) != 2 {
			t.Errorf("there are %v, %v, and not one folder for each image", entries, err)
		}
	}
	s := newStore(t, Config{})
	for _, name := range []string{"linux", "nothing"} {
		if _, err := s.PullFiles(t.Context(), host+"/"+name, nil); err != nil {
			t.Fatal(err)
		}
		if m, present, err := s.found(host + "/" + name); err != nil || present {
			t.Errorf("%s to run: %+v, %v, %v", name, m, present, err)
		}
		_, err := s.pulled(t.Context(), host+"/"+name)
		errorcheck.Is(t, err, fault.ErrNotWasm)
		if m, present, err := s.LookupFiles(t.Context(), host+"/"+name, nil); err != nil || !present || len(shown(t, m)) != 1 {
			t.Errorf("%s to show, once it was refused to run: %v, %v", name, present, err)
		}
	}
}

func TestFilesHaveRights(t *testing.T) {
	srv := guarded(t, "right")
	s, img := newStore(t, Config{}), srv.host()+"/app"
	if _, err := s.PullFiles(t.Context(), img, keys{secretOf("one", "wrong")}); err == nil {
		t.Error("pulled with a wrong password")
	}
	if _, err := s.PullFiles(t.Context(), img, keys{secretOf("one", "right")}); err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"right": true, "wrong": false} {
		if _, present, err := s.LookupFiles(t.Context(), img, keys{secretOf("with-"+password, password)}); err != nil || present != want {
			t.Errorf("for the password %s: %v, %v", password, present, err)
		}
	}
}

func TestCollectFiles(t *testing.T) {
	g := newGCScene(t)
	module := wasm("app", 1000)
	roots := map[string]string{}
	for _, name := range []string{"used", "unused"} {
		img := g.srv.host() + "/" + name
		g.srv.push(t, name, append(slices.Clone(module), wasm(name, 10)[8:]...))
		for _, pull := range []func() (Pulled, error){
			func() (Pulled, error) { return g.Pull(t.Context(), img, nil) },
			func() (Pulled, error) { return g.PullFiles(t.Context(), img, nil) },
		} {
			p, err := pull()
			if err != nil {
				t.Fatal(err)
			}
			if p.Root != nil {
				roots[name] = p.Root.Dir
			}
		}
		// Everything gets so old that it is removed if it is not needed.
		for _, dir := range []string{g.blobs.dir, g.roots.dir} {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if err := os.Chtimes(filepath.Join(dir, e.Name()), time.Time{}, time.Now().Add(-2*orphanAge)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	g.used = []string{g.srv.host() + "/used"}
	c := g.collector(t, func(cfg *CollectorConfig) { cfg.MinAge = 0 })
	if err := c.Collect(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	for name, dir := range roots {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("the files of %s went though there was room: %v", name, err)
		}
	}
	if err := c.Collect(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(roots["used"]); err != nil {
		t.Errorf("the files of an image in use: %v", err)
	}
	if _, err := os.Stat(roots["unused"]); !os.IsNotExist(err) {
		t.Errorf("the files of an image that no pod uses: %v", err)
	}
	if left := g.left(t); left != "used" {
		t.Errorf("left %q", left)
	}
}
