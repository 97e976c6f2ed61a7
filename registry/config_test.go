package registry

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadConfig(t *testing.T) {
	c, err := readConfig([]byte(`{"os":"wasip1","architecture":"wasm","unknown":{},"config":{"Entrypoint":["/app.wasm"],"Cmd":["a"],"Env":["A=1","B=","=x","none"],"WorkingDir":"srv/../data","User":"1","ExposedPorts":{"8080":{},"80/tcp":{},"53/udp":{},"x":{},"0":{},"70000":{},"8080/tcp":{}}}}`))
	want := ImageConfig{Entrypoint: []string{"/app.wasm"}, Cmd: []string{"a"}, Env: []string{"A=1", "B="}, WorkingDir: "/data", User: "1", Ports: []uint16{80, 8080}}
	if got := c.run(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, empty := range []string{`{}`, `{"config":null}`, `null`} {
		if c, err := readConfig([]byte(empty)); err != nil || !reflect.DeepEqual(c.run(), ImageConfig{}) {
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
		_, err := readConfig([]byte(data))
		checkError(t, err, ErrInvalidImage, says)
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
		c, err := readConfig([]byte(tt.config))
		if err != nil {
			t.Fatal(err)
		}
		if got := (manifest{Annotations: tt.annotations}).forWasm(c); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"os":"wasip1","architecture":"wasm","config":{"Entrypoint":["/app.wasm"],"Env":["A=1"],"WorkingDir":"/x"},"rootfs":{"diff_ids":["sha256:` + zeros + `"]}}`))
	f.Add([]byte(`{"os":"linux\n","architecture":"a","config":{"Labels":{"module.wasm.image/variant":"compat"}},"rootfs":{"diff_ids":["x"]}}`))
	f.Add([]byte(`{"config":{"WorkingDir":"../../.."}}`))
	m, err := readManifest("", []byte(imageManifest(imageConfig, described(tarGzip, ""))))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := readConfig(data)
		checkRefusal(t, data, err)
		if err != nil {
			return
		}
		err = m.checkRootfs(c)
		checkRefusal(t, data, err)
		if err == nil && len(c.RootFS.DiffIDs) != len(m.Layers) {
			t.Errorf("%q: %d digests", data, len(c.RootFS.DiffIDs))
		}
		run := c.run()
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
