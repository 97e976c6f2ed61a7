package registry

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/bytecodealliance/wasmtime-go/v39"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/distribution"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
	"github.com/krustlet-go/krustlet-wasi/registry/manifest"
)

// aCommand is a component that is a command.
func aCommand(t testing.TB) []byte {
	t.Helper()
	b, err := wasmtime.Wat2Wasm(`(component
		(import "wasi:cli/environment@0.2.6" (instance))
		(import "wasi:io/streams@0.2.6" (instance))
		(import "shape" (type (sub resource)))
		(import "code" (core module))
		(component $run
			(core module $m (func (export "f") (result i32) i32.const 0))
			(core instance $i (instantiate $m))
			(func (export "run") (result (result)) (canon lift (core func $i "f"))))
		(instance $run (instantiate $run))
		(export "wasi:cli/run@0.2.6" (instance $run))
		(export "again" (func $run "run"))
		(export "part" (component $run)))`)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pushed returns the manifest and the config that a registry has.
func (s *server) pushed(t *testing.T, id string) (raw, config []byte) {
	t.Helper()
	ref, err := distribution.ParseReference(id, distribution.NewHostPolicy(nil))
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref.Repo.Digest(ref.Digest), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = img.RawManifest(); err == nil {
		config, err = img.RawConfigFile()
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw, config
}

// docs/images.md: "The same file always becomes the same image".
func TestPushComponent(t *testing.T) {
	srv := newServer(t)
	component := aCommand(t)
	image := srv.host() + "/me/tool:v1"
	id, err := Push(t.Context(), image, component, PushConfig{Created: time.Unix(1767323045, 999).Local(), Author: "me"})
	if err != nil {
		t.Fatal(err)
	}
	raw, config := srv.pushed(t, id)
	want := `{"created":"2026-01-02T03:04:05Z","author":"me","architecture":"wasm","os":"wasip2","layerDigests":["` + digestOf(component) + `"],` +
		`"component":{"exports":["wasi:cli/run@0.2.6","again"],"imports":["wasi:cli/environment@0.2.6","wasi:io/streams@0.2.6","shape"],"target":null}}`
	if string(config) != want {
		t.Errorf("config %s\nwant   %s", config, want)
	}
	if !bytes.Contains(raw, []byte(`"config":{"mediaType":"application/vnd.wasm.config.v0+json"`)) || !bytes.Contains(raw, []byte(`"layers":[{"mediaType":"application/wasm"`)) {
		t.Errorf("manifest %s", raw)
	}

	// The same file gives the same image, at any time and in any place.
	first := srv.push(t, "a/tool:v1", component)
	second := srv.push(t, "b/tool:v2", bytes.Clone(component))
	if _, a, _ := strings.Cut(first, "@"); !strings.HasSuffix(second, "@"+a) {
		t.Errorf("pushed %s and %s", first, second)
	}
	_, config = srv.pushed(t, first)
	if !strings.HasPrefix(string(config), `{"created":"1970-01-01T00:00:00Z","author":null,"architecture":"wasm","os":"wasip2",`) {
		t.Errorf("config %s", config)
	}
	_, config = srv.pushed(t, srv.push(t, "empty:v1", manifest.ComponentPreamble))
	if !strings.HasSuffix(string(config), `"component":{"exports":[],"imports":[],"target":null}}`) {
		t.Errorf("config %s", config)
	}
	_, config = srv.pushed(t, srv.push(t, "module:v1", wasm("module", 1)))
	if !strings.Contains(string(config), `"os":"wasip1"`) || !strings.HasSuffix(string(config), `"component":null}`) {
		t.Errorf("config %s", config)
	}
}

func TestPushRefusesWhatIsNoComponent(t *testing.T) {
	srv := newServer(t)
	component := aCommand(t)
	for name, file := range map[string][]byte{
		"reading the component: at 0x8: there is no section 0x63": append(bytes.Clone(manifest.ComponentPreamble), 99, 0),
		"the component uses values":                               append(bytes.Clone(manifest.ComponentPreamble), 12, 0),
		"the component cannot be published: reading":              component[:len(component)-1],
		"of an unknown version (it starts with 0061736d0c000100)": []byte("\x00asm\x0c\x00\x01\x00"),
	} {
		_, err := Push(t.Context(), srv.host()+"/app", file, PushConfig{})
		errorcheck.Is(t, err, fault.ErrNotWasm, name)
	}
	if n := srv.count("POST", "/blobs/"); n != 0 {
		t.Errorf("%d uploads were begun", n)
	}
}

// TestComponentsInEveryForm: whatever the media types say, the file tells what it is.
func TestComponentsInEveryForm(t *testing.T) {
	srv := newServer(t)
	component := aCommand(t)
	s := newStore(t, Config{AllowLocalModules: true})
	check := func(t *testing.T, image string) {
		t.Helper()
		m, err := s.pulled(t.Context(), image)
		if err != nil {
			t.Fatal(err)
		}
		checkModule(t, m, component)
		found, present, err := s.found(image)
		if !m.Component || !present || err != nil || !reflect.DeepEqual(found, m) {
			t.Errorf("pulled %+v; found %+v, %v, %v", m, found, present, err)
		}
	}
	for name, form := range map[string][2]types.MediaType{
		"cncf":      {"application/vnd.wasm.config.v0+json", "application/wasm"},
		"oci":       {"application/vnd.wasm.config.v1+json", "application/vnd.wasm.content.layer.v1+wasm"},
		"oras":      {"application/vnd.oci.empty.v1+json", "application/wasm"},
		"runwasi":   {"application/vnd.oci.image.config.v1+json", "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm"},
		"wasmcloud": {"application/vnd.wasmcloud.actor.archive.config", "application/vnd.module.wasm.content.layer.v1+wasm"},
	} {
		t.Run(name, func(t *testing.T) {
			srv.pushAs(t, name+":v1", form[0], form[1], component)
			check(t, srv.host()+"/"+name+":v1")
		})
	}
	t.Run("local", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tool.wasm")
		if err := os.WriteFile(path, component, 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, "fs/"+path)
	})
	t.Run("index", func(t *testing.T) {
		img, err := newArtifact(manifest.ConfigType, []byte("{}"), manifest.LayerType, component)
		if err != nil {
			t.Fatal(err)
		}
		srv.pushIndex(t, "index:v1", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "wasip2", Architecture: "wasm"}},
		}))
		check(t, srv.host()+"/index:v1")
	})
	t.Run("root filesystem", func(t *testing.T) {
		module := wasm("helper", 10)
		srv.pushImage(t, "rootfs:v1", image(t, entrypointOf("tool"), gzipLayer(t, "bin/tool.wasm", string(component), "bin/a.wasm", string(module))))
		m, err := s.pulled(t.Context(), srv.host()+"/rootfs:v1")
		if err != nil {
			t.Fatal(err)
		}
		if !m.Component || m.Digest != digestOf(component) || filepath.Base(m.Path) != "tool.wasm" {
			t.Errorf("pulled %+v", m)
		}
		other, err := m.Program([]string{"a"}, nil, "/")
		if err != nil || other.Component || other.Digest != digestOf(module) {
			t.Errorf("another module: %+v, %v", other, err)
		}
	})
}

// docs/images.md: "it checks the digest and looks at these bytes only", and "its size counts to the
// same bounds".
func TestComponentsAtThePull(t *testing.T) {
	srv := newServer(t)
	damaged := append(bytes.Clone(manifest.ComponentPreamble), 99, 1, 2, 3)
	srv.pushAs(t, "damaged:v1", manifest.ConfigType, manifest.LayerType, damaged)
	s := newStore(t, Config{MaxModuleSize: int64(len(damaged))})
	m, err := s.pulled(t.Context(), srv.host()+"/damaged:v1")
	if err != nil || !m.Component {
		t.Errorf("a damaged component: %+v, %v", m, err)
	}
	larger := append(damaged, 4)
	srv.pushAs(t, "large:v1", manifest.ConfigType, manifest.LayerType, larger)
	_, err = s.pulled(t.Context(), srv.host()+"/large:v1")
	errorcheck.Is(t, err, fault.ErrTooLarge, "--max-module-size")
	srv.pushImage(t, "rootfs:v1", image(t, entrypointOf("/a.wasm"), gzipLayer(t, "a.wasm", string(larger))))
	_, err = s.pulled(t.Context(), srv.host()+"/rootfs:v1")
	errorcheck.Is(t, err, fault.ErrTooLarge, "--max-module-size")
	srv.pushAs(t, "old:v1", manifest.ConfigType, manifest.LayerType, []byte("\x00asm\x0a\x00\x01\x00"))
	_, err = s.pulled(t.Context(), srv.host()+"/old:v1")
	errorcheck.Is(t, err, fault.ErrNotWasm, "a WebAssembly component of an unknown version")
}

func TestModules(t *testing.T) {
	srv := newServer(t)
	component, module := aCommand(t), wasm("helper", 10)
	srv.pushAs(t, "one:v1", manifest.ConfigType, manifest.LayerType, component)
	layer := gzipLayer(t, "bin/tool.wasm", string(component), "a.wasm", string(module), "bin/z.wasm", string(module), "readme", "text")
	srv.pushImage(t, "rootfs:v1", image(t, entrypointOf("/bin/tool"), layer))
	s := newStore(t, Config{})
	modules := func(name string) (found []ImageModule) {
		t.Helper()
		i, err := s.Find(srv.host() + "/" + name)
		if err == nil {
			found, err = s.Modules(i)
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			if _, err := os.Stat(found[i].Path); err != nil {
				t.Error(err)
			}
			found[i].Path = ""
		}
		return found
	}
	for _, name := range []string{"one:v1", "rootfs:v1"} {
		if _, err := s.Pull(t.Context(), srv.host()+"/"+name, nil); err != nil {
			t.Fatal(err)
		}
	}
	main := ImageModule{Digest: digestOf(component), Size: int64(len(component)), Component: true, Main: true}
	if got := modules("one:v1"); !reflect.DeepEqual(got, []ImageModule{main}) {
		t.Errorf("%+v", got)
	}
	if got := modules("rootfs:v1"); got != nil {
		t.Errorf("before it is unpacked: %+v", got)
	}
	if _, err := s.pulled(t.Context(), srv.host()+"/rootfs:v1"); err != nil {
		t.Fatal(err)
	}
	main.Name = "/bin/tool.wasm"
	other := ImageModule{Name: "/a.wasm", Digest: digestOf(module), Size: int64(len(module))}
	last := other
	last.Name = "/bin/z.wasm"
	if got := modules("rootfs:v1"); !reflect.DeepEqual(got, []ImageModule{main, other, last}) {
		t.Errorf("%+v", got)
	}
	i, err := s.Find(srv.host() + "/rootfs:v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(t.Context(), i.ID, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Modules(i); got != nil || err != nil {
		t.Errorf("after it was removed: %+v, %v", got, err)
	}
}
