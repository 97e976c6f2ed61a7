package run

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
)

func (s *imageServer) pushRooted(t *testing.T, repository string, image v1.Image) string {
	t.Helper()
	ref, err := name.ParseReference(s.Listener.Addr().String() + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return ref.String()
}

// TestRunRootfs: an image with a root filesystem runs as its config says. It has its own copy of
// the files, which is removed at the end.
func TestRunRootfs(t *testing.T) {
	server := newImageServer(t)
	module, err := os.ReadFile(kitchen(t))
	if err != nil {
		t.Fatal(err)
	}
	image := server.pushRooted(t, "apps/cook:v1", guests.Image(t,
		v1.Config{Entrypoint: []string{"/bin/cook", "each"}, Cmd: []string{"args", "cwd", "cat motd", "write motd mine", "cat motd", "write /tmp/x y"}, Env: []string{"A=image", "B=image"}, WorkingDir: "/etc"},
		map[string][]byte{"bin/cook.wasm": module, "opt/tiny": guests.Tiny(t), "etc/motd": []byte("hello\n")}))
	r := newRunner(t)
	got := r.run(image)
	want := lines("$ args", "/bin/cook", "each", "args", "cwd", "cat motd", "write motd mine", "cat motd", "write /tmp/x y",
		"$ cwd", "/etc", "$ cat motd", "hello", "$ write motd mine", "$ cat motd", "mine$ write /tmp/x y")
	if got.code != 0 || got.stdout != want {
		t.Errorf("got %+v, want\n%s", got, want)
	}
	if out := r.ok(image, "cat motd"); out != lines("$ cat motd", "hello") {
		t.Errorf("a second run finds %q", out)
	}
	if out := r.ok("--env=A=mine", image, "env"); !strings.Contains(out, "A=mine\n") || !strings.Contains(out, "B=image\n") || strings.Contains(out, "A=image") {
		t.Errorf("environment:\n%s", out)
	}
	if out := r.ok("--workdir=/bin", image, "ls ."); out != lines("$ ls .", "cook.wasm") {
		t.Errorf("another working directory: %q", out)
	}
	// The guest ends with code 1, because it gets two arguments: the image's and the one here.
	if got := r.run("--argv0=/opt/tiny", image, "x"); got.stdout != "tiny\n" || got.code != 1 {
		t.Errorf("another module: %+v", got)
	}
	r.file("mine", []byte("host\n"))
	if out := r.ok("--dir=mine::/etc/motd:ro", image, "cat motd"); out != lines("$ cat motd", "host") {
		t.Errorf("a file of the host over one of the image: %q", out)
	}

	several := server.pushRooted(t, "apps/several:v1", guests.Image(t, v1.Config{}, map[string][]byte{"a.wasm": module, "b.wasm": guests.Tiny(t)}))
	if got := r.run("--quiet", several); got.code != 126 || !strings.Contains(got.stderr, "/a.wasm, /b.wasm") {
		t.Errorf("several modules, none named: %+v", got)
	}
	if out := r.ok("--argv0=a", several, "echo", "x"); out != "x\n" {
		t.Errorf("several modules, one named: %q", out)
	}
	broken := server.pushRooted(t, "apps/broken:v1", guests.Image(t, v1.Config{}, map[string][]byte{"../x": guests.Tiny(t)}))
	if got := r.run("--quiet", broken); got.code != 126 || !strings.Contains(got.stderr, "../x") {
		t.Errorf("an image that is broken: %+v", got)
	}
}
