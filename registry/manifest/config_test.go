package manifest

import (
	"reflect"
	"strings"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/errorcheck"
	"github.com/krustlet-go/krustlet-wasi/registry/fault"
)

func TestReadConfig(t *testing.T) {
	c, err := ReadConfig([]byte(`{"os":"wasip1","architecture":"wasm","unknown":{},"config":{"Entrypoint":["/app.wasm"],"Cmd":["a"],"Env":["A=1","B=","=x","none"],"WorkingDir":"srv/../data","User":"1","ExposedPorts":{"8080":{},"80/tcp":{},"53/udp":{},"x":{},"0":{},"70000":{},"8080/tcp":{}}}}`))
	want := Config{Entrypoint: []string{"/app.wasm"}, Cmd: []string{"a"}, Env: []string{"A=1", "B="}, WorkingDir: "/data", User: "1", Ports: []uint16{80, 8080}}
	if got := c.Run(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, empty := range []string{`{}`, `{"config":null}`, `null`} {
		if c, err := ReadConfig([]byte(empty)); err != nil || !reflect.DeepEqual(c.Run(), Config{}) {
			t.Errorf("%s: %+v, %v", empty, c, err)
		}
	}
	for data, says := range map[string]string{
		``:                                     "cannot be read",
		`{"config":{"Env":"A=1"}}`:             "cannot be read",
		`{"config":{"Cmd":["a\u0000b"]}}`:      "zero byte",
		`{"config":{"WorkingDir":"a\u0000b"}}`: "zero byte",
		strings.Repeat(`{"config":`, 20_000):   "cannot be read",
	} {
		_, err := ReadConfig([]byte(data))
		errorcheck.Is(t, err, fault.ErrInvalidImage, says)
	}
}

func TestForWasm(t *testing.T) {
	for _, tt := range []struct {
		name, config string
		annotations  map[string]string
		want         bool
	}{
		{name: "wasip1/wasm", config: `{"os":"wasip1","architecture":"wasm"}`, want: true},
		{name: "wasi/wasm32", config: `{"os":"wasi","architecture":"wasm32"}`, want: true},
		{name: "Linux by default, with a module to run", config: `{"os":"linux","architecture":"amd64","config":{"Entrypoint":["/app.wasm","x"]}}`, want: true},
		{name: "as a command", config: `{"os":"linux","architecture":"amd64","config":{"Cmd":["app.wasm"]}}`, want: true},
		{name: "by annotation", config: `{"os":"linux"}`, annotations: map[string]string{"module.wasm.image/variant": "compat"}, want: true},
		{name: "by label", config: `{"os":"linux","config":{"Labels":{"module.wasm.image/variant":"compat-smart"}}}`, want: true},
		{name: "by crun's handler", config: `{"os":"linux"}`, annotations: map[string]string{"run.oci.handler": "wasm"}, want: true},
		{name: "of Linux", config: `{"os":"linux","architecture":"amd64","config":{"Entrypoint":["/bin/sh","app.wasm"]}}`},
		{name: "another variant", config: `{"os":"linux"}`, annotations: map[string]string{"module.wasm.image/variant": "other"}},
		{name: "nothing", config: `{}`},
	} {
		c, err := ReadConfig([]byte(tt.config))
		if err != nil {
			t.Fatal(err)
		}
		if got := (Manifest{Annotations: tt.annotations}).forWasm(c); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"os":"wasip1","architecture":"wasm","config":{"Entrypoint":["/app.wasm"],"Env":["A=1"],"WorkingDir":"/x"},"rootfs":{"diff_ids":["sha256:` + noughts + `"]}}`))
	f.Add([]byte(`{"os":"linux\n","architecture":"a","config":{"Labels":{"module.wasm.image/variant":"compat"}},"rootfs":{"diff_ids":["x"]}}`))
	f.Add([]byte(`{"config":{"WorkingDir":"../../.."}}`))
	m, err := Read("", []byte(imageManifest(imageConfig, described(tarGzip, ""))))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadConfig(data)
		checkRefusal(t, data, err)
		if err != nil {
			return
		}
		err = m.CheckRootfs(c)
		checkRefusal(t, data, err)
		if err == nil && len(c.RootFS.DiffIDs) != len(m.Layers) {
			t.Errorf("%q: %d digests", data, len(c.RootFS.DiffIDs))
		}
		run := c.Run()
		if dir := run.WorkingDir; dir != "" && (dir[0] != '/' || strings.Contains(dir+"/", "/../")) {
			t.Errorf("%q: working directory %q", data, dir)
		}
		for _, v := range run.Env {
			if strings.IndexByte(v, '=') < 1 {
				t.Errorf("%q: variable %q", data, v)
			}
		}
	})
}
