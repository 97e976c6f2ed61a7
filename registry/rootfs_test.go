package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// tarOf is a tar with files. The arguments are pairs of a name and a content.
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packedLayer is a layer with any content. plain is the uncompressed content.
type packedLayer struct {
	plain, packed []byte
	mediaType     types.MediaType
}

func (l packedLayer) Digest() (v1.Hash, error) { return v1.NewHash(digestOf(l.packed)) }
func (l packedLayer) DiffID() (v1.Hash, error) { return v1.NewHash(digestOf(l.plain)) }
func (l packedLayer) Size() (int64, error)     { return int64(len(l.packed)), nil }
func (l packedLayer) Compressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.packed)), nil
}

func (l packedLayer) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(l.plain)), nil
}

func (l packedLayer) MediaType() (types.MediaType, error) { return l.mediaType, nil }

func gzipLayer(t testing.TB, files ...string) packedLayer {
	t.Helper()
	plain := tarOf(t, files...)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(plain)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return packedLayer{plain, b.Bytes(), types.DockerLayer}
}

func zstdLayer(t testing.TB, files ...string) packedLayer {
	t.Helper()
	plain := tarOf(t, files...)
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return packedLayer{plain, w.EncodeAll(plain, nil), types.OCILayerZStd}
}

func plainLayer(t testing.TB, files ...string) packedLayer {
	t.Helper()
	plain := tarOf(t, files...)
	return packedLayer{plain, plain, types.OCIUncompressedLayer}
}

// image is an image with a root filesystem, like those from a builder.
func image(t testing.TB, config v1.ConfigFile, layers ...v1.Layer) v1.Image {
	t.Helper()
	if config.OS == "" {
		config.OS, config.Architecture = "wasip1", "wasm"
	}
	img, err := mutate.ConfigFile(empty.Image, &config)
	if err != nil {
		t.Fatal(err)
	}
	img, err = mutate.AppendLayers(img, layers...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func entrypointOf(argv ...string) v1.ConfigFile {
	return v1.ConfigFile{Config: v1.Config{Entrypoint: argv}}
}

func (s *server) pushIndex(t testing.TB, name string, index v1.ImageIndex) {
	t.Helper()
	ref, err := distribution.ParseReference(s.host()+"/"+name, distribution.NewHostPolicy(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref.Repo.Tag(ref.Tag), index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.reset()
}

func TestPullRootfs(t *testing.T) {
	srv := newServer(t)
	app, tool := wasm("app", 100), wasm("tool", 200)
	layers := []v1.Layer{
		gzipLayer(t, "app.wasm", "replaced", "etc/motd", "hello", "gone", "x"),
		zstdLayer(t, "usr/bin/tool.wasm", string(tool), ".wh.gone", ""),
		plainLayer(t, "app.wasm", string(app)),
	}
	config := v1.ConfigFile{Config: v1.Config{
		Entrypoint: []string{"/app.wasm"}, Cmd: []string{"serve"}, Env: []string{"A=1", "PATH=/usr/bin"}, WorkingDir: "/srv",
	}}
	srv.pushImage(t, "app:v1", image(t, config, layers...))
	config.Config.Env = nil
	srv.pushImage(t, "app:v2", image(t, config, layers...))
	s := newStore(t, Config{})
	m, err := s.pulled(t.Context(), srv.host()+"/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	for _, l := range layers {
		n, _ := l.Size()
		size += n
	}
	if m.Path != filepath.Join(m.Root.Dir, "app.wasm") || m.Digest != digestOf(app) || m.Size != size || m.Component {
		t.Errorf("module %+v", m)
	}
	if want := (manifest.Config{Entrypoint: []string{"/app.wasm"}, Cmd: []string{"serve"}, Env: []string{"A=1", "PATH=/usr/bin"}, WorkingDir: "/srv"}); !reflect.DeepEqual(*m.Config, want) {
		t.Errorf("config %+v", m.Config)
	}
	for name, want := range map[string]string{"app.wasm": string(app), "etc/motd": "hello", "usr/bin/tool.wasm": string(tool)} {
		if got, err := os.ReadFile(filepath.Join(m.Root.Dir, name)); string(got) != want {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(m.Root.Dir, "gone")); !os.IsNotExist(err) {
		t.Errorf("gone: %v", err)
	}
	found, present, err := s.found(srv.host() + "/app:v1")
	if !present || err != nil || !reflect.DeepEqual(found, m) {
		t.Errorf("Lookup: %+v, %v, %v; want %+v", found, present, err, m)
	}
	// The same layers with another config are not fetched or unpacked again.
	srv.reset()
	other, err := s.pulled(t.Context(), srv.host()+"/app:v2")
	if err != nil || other.Root.Dir != m.Root.Dir || len(other.Config.Env) != 0 {
		t.Errorf("app:v2: %+v, %v", other, err)
	}
	if n := srv.count("GET", "/blobs/"); n != 1 {
		t.Errorf("%d blobs were fetched, want the config", n)
	}
	again := newStore(t, Config{Dir: filepath.Dir(s.refs.dir)})
	if found, present, err = again.found(srv.host() + "/app:v1"); !present || err != nil || !reflect.DeepEqual(found, m) {
		t.Errorf("after a restart: %+v, %v, %v", found, present, err)
	}
}

func TestProgram(t *testing.T) {
	srv := newServer(t)
	app, tool := wasm("app", 1), wasm("tool", 1)
	layer := gzipLayer(t, "bin/app.wasm", string(app), "opt/tool", string(tool), "bin/text", "text")
	configs := map[string]v1.Config{
		"entry":   {Entrypoint: []string{"app"}, Env: []string{"PATH=/bin"}, WorkingDir: "opt"},
		"command": {Cmd: []string{"/opt/tool", "x"}},
		"none":    {},
		"text":    {Entrypoint: []string{"/bin/text"}},
	}
	for name, c := range configs {
		srv.pushImage(t, name, image(t, v1.ConfigFile{Config: c}, layer))
	}
	srv.pushImage(t, "single", image(t, v1.ConfigFile{}, gzipLayer(t, "x/y.wasm", string(app))))
	srv.push(t, "module", app)
	s := newStore(t, Config{})
	for _, tt := range []struct {
		image, argv, env, workDir string
		want                      []byte // nil means that an error is expected
		says                      string
	}{
		{image: "entry", argv: "app", env: "PATH=/bin", want: app},
		{image: "entry", argv: "/opt/tool", want: tool},
		{image: "entry", argv: "tool", workDir: "/opt", want: tool},
		{image: "entry", argv: "anything", want: app},
		{image: "entry", argv: "", want: app},
		{image: "entry", argv: "/bin/text", want: app},
		{image: "command", argv: "other", want: tool},
		{image: "command", argv: "/bin/app", want: app},
		{image: "none", argv: "/opt/tool", want: tool},
		{image: "none", argv: "unknown", says: "/bin/app.wasm, /opt/tool), and none of them is unknown"},
		{image: "text", argv: "/bin/text", says: "name one in the container's command"},
		{image: "single", argv: "unknown", want: app},
		{image: "module", argv: "unknown", want: app},
	} {
		m, err := s.pulled(t.Context(), srv.host()+"/"+tt.image)
		if err != nil {
			t.Fatal(err)
		}
		own := m
		var argv []string
		if tt.argv != "" {
			argv = []string{tt.argv}
		}
		m, err = m.Program(argv, []string{tt.env}, tt.workDir)
		if tt.want == nil {
			errorcheck.Is(t, err, fault.ErrNoProgram, tt.says)
			continue
		}
		if err != nil {
			t.Errorf("%s %q: %v", tt.image, tt.argv, err)
			continue
		}
		got, err := os.ReadFile(m.Path)
		if err != nil || !bytes.Equal(got, tt.want) || m.Digest != digestOf(tt.want) {
			t.Errorf("%s %q: %s, %v", tt.image, tt.argv, m.Path, err)
		}
		if own.Path == "" {
			continue
		}
		// A command beside a container that runs the image's own module.
		beside, err := Beside(own.Path, own.Digest, argv, []string{tt.env}, tt.workDir)
		if err != nil || beside.Path != m.Path || beside.Digest != m.Digest {
			t.Errorf("beside %s, %q: %+v, %v", own.Path, tt.argv, beside, err)
		}
	}
}

// TestBesideIsNotMisled: if an image has names that look like the store's, they do not count.
// docs/security.md: "Only modules that an image had when it was unpacked can run, by digest."
func TestBesideIsNotMisled(t *testing.T) {
	srv := newServer(t)
	id := strings.Repeat("ab", 32)
	inner := "x/rootfs/" + id
	srv.pushImage(t, "app", image(t, entrypointOf("/"+inner+"/fs/app.wasm"),
		gzipLayer(t, inner+"/fs/app.wasm", string(wasm("app", 1)), inner+"/modules.json", `{"/app.wasm":{"digest":"sha256:`+zeros+`"}}`)))
	s := newStore(t, Config{})
	m, err := s.pulled(t.Context(), srv.host()+"/app")
	if err != nil {
		t.Fatal(err)
	}
	for _, argv := range []string{"/app.wasm", "/" + inner + "/fs/app.wasm"} {
		if beside, err := Beside(m.Path, m.Digest, []string{argv}, nil, ""); err != nil || beside.Digest != digestOf(wasm("app", 1)) {
			t.Errorf("%s: %+v, %v", argv, beside, err)
		}
	}
}

func TestPullIndex(t *testing.T) {
	srv := newServer(t)
	app, other := wasm("app", 1), wasm("other", 1)
	artifact, err := newArtifact(manifest.ConfigType, []byte("{}"), manifest.LayerType, app)
	if err != nil {
		t.Fatal(err)
	}
	linux := image(t, v1.ConfigFile{OS: "linux", Architecture: "amd64"}, gzipLayer(t, "bin/sh", "\x7fELF"))
	rooted := image(t, entrypointOf("/app.wasm"), gzipLayer(t, "app.wasm", string(app)))
	index := func(entries ...mutate.IndexAddendum) v1.ImageIndex {
		return mutate.AppendManifests(empty.Index, entries...)
	}
	of := func(add mutate.Appendable, platform string) mutate.IndexAddendum {
		e := mutate.IndexAddendum{Add: add}
		if system, architecture, ok := strings.Cut(platform, "/"); ok {
			e.Platform = &v1.Platform{OS: system, Architecture: architecture}
		}
		return e
	}
	otherArtifact, err := newArtifact(manifest.ConfigType, []byte("{}"), manifest.LayerType, other)
	if err != nil {
		t.Fatal(err)
	}
	nested := index(of(artifact, ""))
	for range manifest.MaxNesting - 1 {
		nested = index(of(nested, ""))
	}
	for name, i := range map[string]v1.ImageIndex{
		"single":    index(of(artifact, "")),
		"platforms": index(of(linux, "linux/amd64"), of(artifact, "wasi/wasm"), of(linux, "linux/arm64")),
		"preferred": index(of(otherArtifact, "wasi/wasm"), of(rooted, "wasip1/wasm")),
		"nested":    nested,
		"deeper":    index(of(nested, "")),
		"linux":     index(of(linux, "linux/amd64")),
		"several":   index(of(linux, "linux/amd64"), of(linux, "linux/arm64")),
	} {
		srv.pushIndex(t, name, i)
	}
	for name, says := range map[string]string{
		"single": "", "platforms": "", "preferred": "", "nested": "",
		"deeper":  "an index in an index",
		"linux":   "container image for linux/amd64",
		"several": "2 images for linux/amd64, linux/arm64",
	} {
		s := newStore(t, Config{})
		ref := srv.host() + "/" + name
		m, err := s.pulled(t.Context(), ref)
		if says != "" {
			errorcheck.Is(t, err, fault.ErrNotWasm, says)
			checkAbsent(t, s, ref)
			continue
		}
		if err != nil || m.Digest != digestOf(app) {
			t.Errorf("%s: %+v, %v", name, m, err)
			continue
		}
		// The reference names the index, so the image is known by the digest of the index, too.
		if _, present, err := s.found(m.ImageID); !present || err != nil {
			t.Errorf("%s: %s is not present: %v", name, m.ImageID, err)
		}
		if again, err := s.pulled(t.Context(), m.ImageID); err != nil || again.Digest != m.Digest {
			t.Errorf("%s: pulling %s: %+v, %v", name, m.ImageID, again, err)
		}
	}
}

// TestPullLinuxFetchesNoLayer: an image that cannot run is refused before anything large is
// fetched.
func TestPullLinuxFetchesNoLayer(t *testing.T) {
	srv := newServer(t)
	srv.pushImage(t, "linux", image(t, v1.ConfigFile{OS: "linux", Architecture: "arm64"}, gzipLayer(t, "bin/sh", "\x7fELF")))
	s := newStore(t, Config{})
	_, err := s.pulled(t.Context(), srv.host()+"/linux")
	errorcheck.Is(t, err, fault.ErrNotWasm, "container image for linux/arm64", string(types.DockerLayer), "container runtime", "wasip1/wasm")
	if n := srv.count("GET", "/blobs/"); n != 1 {
		t.Errorf("%d blobs were fetched, want the config", n)
	}
	checkAbsent(t, s, srv.host()+"/linux")
}

func TestPullHostileRootfs(t *testing.T) {
	app := string(wasm("app", 1))
	good := gzipLayer(t, "app.wasm", app)
	lying := good
	lying.plain = []byte("something else")
	zeros := string(make([]byte, 1<<20))
	for _, tt := range []struct {
		name  string
		image v1.Image
		class error
		says  []string
	}{
		{"no module", image(t, v1.ConfigFile{}, gzipLayer(t, "a", "b")), fault.ErrNotWasm, []string{"no WebAssembly module", "ENTRYPOINT"}},
		{"a name that climbs", image(t, v1.ConfigFile{}, good, gzipLayer(t, "../../x", "b")), fault.ErrInvalidImage, []string{"layer 2 of 2", "../../x"}},
		{"no tar", image(t, v1.ConfigFile{}, packedLayer{[]byte("x"), []byte("no tar"), types.DockerLayer}), fault.ErrInvalidImage, []string{"tar"}},
		{"a layer of another content", image(t, v1.ConfigFile{}, lying), fault.ErrDigestMismatch, []string{"digest"}},
		{"too large unpacked", image(t, v1.ConfigFile{}, gzipLayer(t, "app.wasm", app, "zeros", zeros)), fault.ErrTooLarge, []string{"500000"}},
		{"too many files", image(t, v1.ConfigFile{}, gzipLayer(t, strings.Split(strings.Repeat("f,x,", 21)+"app.wasm,"+app, ",")...)), fault.ErrTooLarge, []string{"20 files"}},
		{"a large module", image(t, v1.ConfigFile{}, gzipLayer(t, "app.wasm", app+strings.Repeat("x", 2000))), fault.ErrTooLarge, []string{"modules of up to 1000"}},
		{"a large layer", image(t, v1.ConfigFile{}, plainLayer(t, "app.wasm", app, "x", strings.Repeat("x", 200_000))), fault.ErrTooLarge, []string{"layers of up to 100000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t)
			srv.pushImage(t, "good", image(t, v1.ConfigFile{}, good))
			srv.pushImage(t, "app", tt.image)
			s := newStore(t, Config{MaxModuleSize: 1000, MaxLayerSize: 100_000, MaxUnpackedSize: 500_000, MaxFiles: 20})
			_, err := s.pulled(t.Context(), srv.host()+"/app")
			errorcheck.Is(t, err, tt.class, tt.says...)
			checkAbsent(t, s, srv.host()+"/app")
			// An image that shares a layer with the refused one keeps this layer.
			if _, err := s.pulled(t.Context(), srv.host()+"/good"); err != nil {
				t.Fatal(err)
			}
			_, err = s.pulled(t.Context(), srv.host()+"/app")
			errorcheck.Is(t, err, tt.class, tt.says...)
			// The same is true for a pull in two steps.
			if _, err = s.Pull(t.Context(), srv.host()+"/app", nil); err == nil {
				_, _, err = s.found(srv.host() + "/app")
			}
			errorcheck.Is(t, err, tt.class, tt.says...)
			if _, present, err := s.found(srv.host() + "/app"); present || err != nil {
				t.Errorf("once it was refused: present %v, %v", present, err)
			}
			if images, err := s.Images(); err != nil || len(images) != 1 {
				t.Errorf("images %+v, %v", images, err)
			}
			if _, present, err := s.found(srv.host() + "/good"); !present || err != nil {
				t.Errorf("the good image: %v, %v", present, err)
			}
			if _, err := os.Stat(s.blobs.path(digestOf(good.packed))); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPullHostileConfig: a registry's statements about a config, and the config's content, are
// checked before they are used.
func TestPullHostileConfig(t *testing.T) {
	layer := gzipLayer(t, "app.wasm", string(wasm("app", 1)))
	img := image(t, v1.ConfigFile{}, layer)
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	twice := image(t, v1.ConfigFile{}, layer, layer)
	fewer, err := partial.CompressedToImage(&artifact{manifest: mustManifest(t, twice, config), config: config, layer: layer})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name     string
		img      v1.Image
		config   string // instead of the real one
		manifest string
		class    error
		says     string
	}{
		{name: "other bytes", img: img, config: strings.Replace(string(config), "wasip1", "wasip2", 1), class: fault.ErrDigestMismatch, says: "config"},
		{name: "fewer bytes", img: img, config: string(config[:10]), class: fault.ErrDigestMismatch, says: "10"},
		{name: "endless", img: img, config: string(config) + strings.Repeat(" ", 5<<20), class: fault.ErrDigestMismatch, says: "bytes"},
		{name: "large", img: img, manifest: strings.Replace(string(manifest), fmt.Sprintf(`"size":%d`, len(config)), `"size":99999999`, 1), class: fault.ErrTooLarge, says: "99999999"},
		{name: "fewer layers than the manifest", img: fewer, class: fault.ErrInvalidImage, says: "1 layers, its manifest of 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := newServer(t)
			if tt.img == fewer {
				srv.pushImage(t, "app", image(t, v1.ConfigFile{}, layer)) // for the blobs only
			}
			srv.pushImage(t, "app", tt.img)
			if tt.config != "" {
				srv.answer("/blobs/"+digestOf(config), func(w http.ResponseWriter, _ *http.Request) {
					w.(http.Flusher).Flush() // the answer gives no length
					_, _ = io.WriteString(w, tt.config)
				})
			}
			if tt.manifest != "" {
				srv.answer("/manifests/", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tt.manifest) })
			}
			s := newStore(t, Config{})
			_, err := s.pulled(t.Context(), srv.host()+"/app")
			errorcheck.Is(t, err, tt.class, tt.says)
			checkAbsent(t, s, srv.host()+"/app")
		})
	}
}

// mustManifest is the manifest of img with another config.
func mustManifest(t *testing.T, img v1.Image, config []byte) []byte {
	t.Helper()
	m, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	own, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(m), digestOf(own), digestOf(config))
	return []byte(strings.Replace(text, fmt.Sprintf(`"size":%d`, len(own)), fmt.Sprintf(`"size":%d`, len(config)), 1))
}

// TestIndexThatLies: the size of a manifest must be the size that the index gives.
func TestIndexThatLies(t *testing.T) {
	srv := newServer(t)
	artifact, err := newArtifact(manifest.ConfigType, []byte("{}"), manifest.LayerType, wasm("app", 1))
	if err != nil {
		t.Fatal(err)
	}
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: artifact})
	srv.pushIndex(t, "app", index)
	data, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	size, err := artifact.Size()
	if err != nil {
		t.Fatal(err)
	}
	srv.answer("/manifests/latest", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Replace(string(data), fmt.Sprintf(`"size":%d`, size), `"size":7`, 1))
	})
	s := newStore(t, Config{})
	_, err = s.pulled(t.Context(), srv.host()+"/app")
	errorcheck.Is(t, err, fault.ErrDigestMismatch, "the index says 7")
	checkAbsent(t, s, srv.host()+"/app")
}

// TestDamagedRootfsIsMended: a damaged root filesystem is made again from the layers on disk.
func TestDamagedRootfsIsMended(t *testing.T) {
	srv := newServer(t)
	ref := srv.host() + "/app"
	srv.pushImage(t, "app", image(t, entrypointOf("/app.wasm"), gzipLayer(t, "app.wasm", string(wasm("app", 1)))))
	for name, damage := range map[string]func(root string) error{
		"gone":     os.RemoveAll,
		"no files": func(root string) error { return os.RemoveAll(filepath.Join(root, treeFolder)) },
		"no index": func(root string) error { return os.Remove(filepath.Join(root, modulesFile)) },
		"no words": func(root string) error { return os.WriteFile(filepath.Join(root, modulesFile), nil, 0o600) },
	} {
		s := newStore(t, Config{})
		m, err := s.pulled(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(filepath.Dir(m.Root.Dir)); err != nil {
			t.Fatal(err)
		}
		srv.reset()
		if found, present, err := s.found(ref); !present || err != nil || !reflect.DeepEqual(found, m) {
			t.Errorf("%s: mended: %+v, %v, %v", name, found, present, err)
		}
		if n := srv.count(http.MethodGet, ""); n != 0 {
			t.Errorf("%s: the registry was asked %d times", name, n)
		}
	}
}

// TestUnpackedOnce: images that share their layers are unpacked once, even if they are pulled at
// the same time. A folder that a crash left incomplete is removed.
// docs/security.md: "The files are the agent's, and containers of an image share them"
func TestUnpackedOnce(t *testing.T) {
	srv := newServer(t)
	layer := gzipLayer(t, "app.wasm", string(wasm("app", 1)))
	for i := range 8 {
		srv.pushImage(t, fmt.Sprintf("app:v%d", i), image(t, entrypointOf("/app.wasm", fmt.Sprint(i)), layer))
	}
	s := newStore(t, Config{})
	var pulls sync.WaitGroup
	for i := range 8 {
		pulls.Go(func() {
			if _, err := s.pulled(t.Context(), fmt.Sprintf("%s/app:v%d", srv.host(), i)); err != nil {
				t.Error(err)
			}
		})
	}
	pulls.Wait()
	left := filepath.Join(s.roots.dir, tempPrefix+"x", treeFolder)
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	s = newStore(t, Config{Dir: filepath.Dir(s.refs.dir)})
	entries, err := os.ReadDir(s.roots.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("root filesystems: %v, %v", entries, err)
	}
}
