package image

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/crane"
	containerregistry "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/registry"
)

// Modules of a few bytes, written by hand.
var (
	emptyModule = []byte("\x00asm\x01\x00\x00\x00")
	component   = []byte("\x00asm\x0d\x00\x01\x00")
)

// asProgram names a variable. With it, this test binary is a krustlet-wasi that has only the
// command image. Tests that need a process of their own use it.
const asProgram = "KRUSTLET_WASI_TEST_IMAGE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	os.Exit(runProgram(cmdline.Process{
		Env: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr, Exit: os.Exit,
	}, false, os.Args[1:]))
}

func runProgram(p cmdline.Process, terminal bool, args []string) int {
	root := &cobra.Command{Use: "krustlet-wasi"}
	root.AddCommand(Program{Process: p, Machine: config.Machine{Terminal: terminal}, Version: "test"}.Command())
	return cmdline.Execute(root, args, p.Stderr)
}

// imageServer is a registry on loopback that counts requests.
type imageServer struct {
	*httptest.Server
	requests atomic.Int64
}

func newImageServer(t *testing.T) *imageServer {
	s := &imageServer{}
	handler := containerregistry.New(containerregistry.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		s.requests.Add(1)
		handler.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	return s
}

// operator is a person who manages a node's images.
type operator struct {
	t        *testing.T
	home     string
	env      map[string]string
	terminal bool
}

func newOperator(t *testing.T) *operator {
	home := t.TempDir()
	return &operator{t: t, home: home, env: map[string]string{"HOME": home}}
}

// image runs `krustlet-wasi image` in this process.
func (o *operator) image(args ...string) (code int, stdout, stderr string) {
	o.t.Helper()
	var out, errs bytes.Buffer
	code = runProgram(cmdline.Process{
		Env:    func(name string) (string, bool) { v, ok := o.env[name]; return v, ok },
		Stdout: &out, Stderr: &errs, Exit: func(int) {},
	}, o.terminal, append([]string{"image"}, args...))
	return code, out.String(), errs.String()
}

// must runs a command that must succeed, and returns what it prints.
func (o *operator) must(args ...string) string {
	o.t.Helper()
	code, out, errs := o.image(args...)
	if code != 0 {
		o.t.Fatalf("image %q: code %d\n%s", args, code, errs)
	}
	return out
}

// refused runs a command that must fail with this exit code and these words.
func (o *operator) refused(want int, says string, args ...string) {
	o.t.Helper()
	code, _, errs := o.image(args...)
	if code != want || !strings.Contains(errs, says) {
		o.t.Errorf("image %q: code %d, want %d; %q does not say %q", args, code, want, errs, says)
	}
}

func (o *operator) views(args ...string) []view {
	o.t.Helper()
	var views []view
	if err := json.Unmarshal([]byte(o.must(args...)), &views); err != nil {
		o.t.Fatal(err)
	}
	return views
}

func (o *operator) file(name string, content []byte) string {
	o.t.Helper()
	path := filepath.Join(o.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		o.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return path
}

func TestImageCommands(t *testing.T) {
	server := newImageServer(t)
	o := newOperator(t)
	ref := server.Listener.Addr().String() + "/team/app:v1"
	module, comp := o.file("app.wasm", emptyModule), o.file("comp.wasm", component)

	if out := o.must("ls"); strings.Count(out, "\n") != 1 || !strings.HasPrefix(out, "IMAGE") {
		t.Errorf("an empty list: %q", out)
	}
	id := strings.TrimSpace(o.must("push", module, ref))
	if !strings.HasPrefix(id, server.Listener.Addr().String()+"/team/app@sha256:") {
		t.Errorf("pushed %q", id)
	}
	var pushed struct {
		ID   string
		Size int
	}
	out := o.must("push", "-o", "json", "--author=me", comp, strings.Replace(ref, "app", "comp", 1))
	if err := json.Unmarshal([]byte(out), &pushed); err != nil || pushed.Size != len(component) {
		t.Errorf("pushed %s, %v", out, err)
	}

	code, out, errs := o.image("pull", ref, pushed.ID)
	if code != 0 || out != id+"\n"+pushed.ID+"\n" || !strings.Contains(errs, "pulling "+ref) || !strings.Contains(errs, "pulled "+id+" in ") {
		t.Errorf("pull: %d, %q, %q", code, out, errs)
	}
	if code, out, errs := o.image("pull", "-q", ref); code != 0 || out != id+"\n" || errs != "" {
		t.Errorf("pull -q: %d, %q, %q", code, out, errs)
	}
	list := o.must("ls")
	if !strings.Contains(list, ref+"  ") || !strings.Contains(list, "component") || strings.Count(list, "\n") != 3 {
		t.Errorf("list:\n%s", list)
	}
	views := o.views("ls", "--output=json")
	if len(views) != 2 || views[0].ID != id || len(views[0].Tags) != 1 || views[0].Tags[0] != ref || views[0].Kind != "module" ||
		views[0].Size != int64(len(emptyModule)) || views[0].Pulled.IsZero() || views[0].InUse {
		t.Errorf("list: %+v", views)
	}
	if v := o.views("inspect", pushed.ID); len(v) != 1 || v[0].Kind != "component" || len(v[0].Tags) != 0 {
		t.Errorf("inspect: %+v", v)
	}
	if v := o.views("pull", "-o", "json", ref); len(v) != 1 || v[0].ID != id {
		t.Errorf("pull as JSON: %+v", v)
	}

	// A pod runs the image.
	hex := strings.TrimPrefix(views[0].Module, "sha256:")
	compiled := o.file(".krustlet/modules/compiled/wasmtime-x/"+hex+".cwasm", make([]byte, 100))
	run := o.file(".krustlet/notes/uid/runs/main.json", fmt.Appendf(nil, `{"Of": {"ImageID": %q}}`, id))
	if v := o.views("inspect", ref); !v[0].InUse {
		t.Errorf("inspect: %+v", v)
	}
	o.refused(exit.Failure, "is in use by a pod", "rm", ref)
	if err := os.Remove(run); err != nil {
		t.Fatal(err)
	}
	var done removal
	if err := json.Unmarshal([]byte(o.must("rm", ref, "-o", "json")), &done); err != nil {
		t.Fatal(err)
	}
	if len(done.Removed) != 1 || done.Removed[0] != id || len(done.Untagged) != 1 || done.Freed != int64(len(emptyModule))+100 {
		t.Errorf("removed %+v", done)
	}
	if _, err := os.Stat(compiled); err == nil {
		t.Error("compiled code of a removed module is left")
	}
	if out := o.must("rm", pushed.ID); out != "removed "+pushed.ID+"\nfreed 8 B\n" {
		t.Errorf("rm: %q", out)
	}
	if v := o.views("ls", "-o", "json"); len(v) != 0 {
		t.Errorf("left: %+v", v)
	}
}

// TestImagePullUnpacks: a pull unpacks an image only if the user asks for it.
func TestImagePullUnpacks(t *testing.T) {
	host := newImageServer(t).Listener.Addr().String()
	o := newOperator(t)
	for name, module := range map[string][]byte{"good": emptyModule, "broken": []byte("none")} {
		image := guests.Image(t, v1.Config{Entrypoint: []string{"/app.wasm"}}, map[string][]byte{"app.wasm": module})
		if err := crane.Push(image, host+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	unpacked := func() int {
		entries, err := os.ReadDir(filepath.Join(o.home, ".krustlet", "modules", "rootfs"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	o.must("pull", host+"/good", host+"/broken")
	if n := unpacked(); n != 0 {
		t.Errorf("%d images were unpacked", n)
	}
	o.must("pull", "--unpack", host+"/good")
	o.refused(exit.Failure, "no WebAssembly module", "pull", "--unpack", host+"/broken")
	if n := unpacked(); n != 1 {
		t.Errorf("%d images were unpacked, want one", n)
	}
	if v := o.views("ls", "-o", "json"); len(v) != 1 || v[0].Kind != "rootfs" {
		t.Errorf("in the store: %+v", v)
	}
}

func TestImageMistakes(t *testing.T) {
	server := newImageServer(t)
	host := server.Listener.Addr().String()
	o := newOperator(t)
	o.refused(exit.Usage, "pull, ls, rm, inspect, push")
	o.refused(exit.Usage, `did you mean "pull"`, "pul")
	o.refused(exit.Usage, "krustlet-wasi image pull [flags] IMAGE...", "pull")
	o.refused(exit.Usage, "krustlet-wasi image push [flags] FILE.wasm IMAGE", "push", "x.wasm")
	o.refused(exit.Usage, "image ls", "ls", "x")
	o.refused(exit.Usage, "unknown flag", "pull", "--nonsense", "x")
	o.refused(exit.Usage, `flag --output: "yaml" is no format`, "ls", "-o", "yaml")
	o.refused(exit.Usage, "no valid reference", "pull", "UPPER/case")
	o.refused(exit.Usage, "reading ", "push", filepath.Join(o.home, "none.wasm"), host+"/x:v1")
	o.refused(exit.Failure, "ELF", "push", o.file("x", []byte("\x7fELF....")), host+"/x:v1")
	o.refused(exit.Failure, "404", "pull", host+"/none:v1")
	o.refused(exit.Failure, "no image", "inspect", host+"/none:v1")
	o.refused(exit.Failure, "no image", "rm", host+"/none:v1")
	// If one pull fails, the others still succeed.
	ref := host + "/app:v1"
	o.must("push", o.file("app.wasm", emptyModule), ref)
	code, out, errs := o.image("pull", host+"/none:v1", ref)
	if code != exit.Failure || !strings.Contains(out, "/app@sha256:") || !strings.Contains(errs, "404") {
		t.Errorf("one of two: %d, %q, %q", code, out, errs)
	}
	// The agent's settings apply.
	o.env["KRUSTLET_REGISTRY_CA"] = filepath.Join(o.home, "none.pem")
	o.refused(exit.Usage, "KRUSTLET_REGISTRY_CA", "pull", ref)
}

func TestImageHelp(t *testing.T) {
	o := newOperator(t)
	help := o.must("--help")
	for _, v := range verbs() {
		if !strings.Contains(help, "  "+v.name+" ") {
			t.Errorf("the help does not name %s", v.name)
		}
		own := o.must(v.name, "--help")
		for _, s := range v.allFlags() {
			if !strings.Contains(own, "--"+s.Name+"=") {
				t.Errorf("the help of %s does not name --%s", v.name, s.Name)
			}
		}
	}
}

func TestImageProgressOnATerminal(t *testing.T) {
	server := newImageServer(t)
	o := newOperator(t)
	o.terminal = true
	ref := server.Listener.Addr().String() + "/app:v1"
	code, _, errs := o.image("push", o.file("app.wasm", append(bytes.Clone(emptyModule), append([]byte{0, 0x81, 0x80, 4, 0}, make([]byte, 1<<16)...)...)), ref)
	if code != 0 || !strings.Contains(errs, "64.2 KiB / 64.2 KiB") {
		t.Errorf("push: %d, %q", code, errs)
	}
	code, out, errs := o.image("pull", ref)
	if code != 0 || !strings.Contains(errs, "64.0 KiB / 64.0 KiB") || !strings.Contains(errs, "pulling "+ref) || !strings.Contains(errs, "pulled "+strings.TrimSpace(out)+" in ") || strings.Contains(out, "%") {
		t.Errorf("pull: %d, %q, %q", code, out, errs)
	}
	// A failed pull must not leave a bar that the program waits for.
	if code, _, errs := o.image("pull", server.Listener.Addr().String()+"/none:v1"); code != exit.Failure || !strings.Contains(errs, "404") {
		t.Errorf("pull of none: %d, %q", code, errs)
	}
}

// TestImageCredentials: the program reads each location of the docker config. The node's own
// location overrides the others.
func TestImageCredentials(t *testing.T) {
	handler := containerregistry.New(containerregistry.Logger(log.New(io.Discard, "", 0)))
	var shown atomic.Value // the user of the last request
	shown.Store("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, ok := r.BasicAuth()
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		shown.Store(user)
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := server.Listener.Addr().String()
	o := newOperator(t)
	module := o.file("app.wasm", emptyModule)
	auth := func(user string) []byte {
		return fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, host, base64.StdEncoding.EncodeToString([]byte(user+":secret")))
	}
	o.refused(exit.Failure, "401", "push", module, host+"/app:v1")
	o.env["DOCKER_CONFIG"] = filepath.Join(o.home, "docker")
	for _, path := range []string{".docker/config.json", "docker/config.json", ".krustlet/config/docker/config.json"} {
		o.file(path, auth("of "+path))
		o.must("push", module, host+"/app:v1")
		if shown := shown.Load(); shown != "of "+path {
			t.Errorf("with %s: %q was shown", path, shown)
		}
	}
	o.must("pull", host+"/app:v1")
	if shown := shown.Load(); shown != "of .krustlet/config/docker/config.json" {
		t.Errorf("pulled with %q", shown)
	}
}

// TestImagePullByProxy: the environment names the proxies. A process reads it once, so the test
// needs a process of its own.
func TestImagePullByProxy(t *testing.T) {
	server := newImageServer(t) // answers requests to a proxy, for every host
	if _, err := registry.Push(t.Context(), server.Listener.Addr().String()+"/app:v1", emptyModule, registry.PushConfig{}); err != nil {
		t.Fatal(err)
	}
	server.requests.Store(0)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "image", "pull", "--insecure-registries=registry.invalid", "registry.invalid/app:v1")
	cmd.Env = []string{asProgram + "=1", "HOME=" + t.TempDir(), "HTTP_PROXY=" + server.URL, "HTTPS_PROXY=" + closed.URL}
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "registry.invalid/app@sha256:") || server.requests.Load() == 0 {
		t.Errorf("%q, %v, %d requests", out, err, server.requests.Load())
	}
}
