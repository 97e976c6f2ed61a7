package run

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/hack/guests"
	"github.com/krustlet-go/krustlet-wasi/podsync/volume"
)

// left are the folders that are in a folder for temporary files.
func left(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// mounted reports whether something is mounted below a folder.
func mounted(t *testing.T, dir string) bool {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(table), dir+"/")
}

// TestRunSweeps: a run removes what killed runs have left, but nothing of a running one.
func TestRunSweeps(t *testing.T) {
	server := newImageServer(t)
	module, err := os.ReadFile(kitchen(t))
	if err != nil {
		t.Fatal(err)
	}
	image := server.pushRooted(t, "apps/killed:v1", guests.Image(t,
		v1.Config{Entrypoint: []string{"/cook"}}, map[string][]byte{"cook": module, "etc/motd": []byte("hello\n")}))
	r := newRunner(t)
	t.Cleanup(func() {
		if err := volume.Unmount(r.tmp); err != nil {
			t.Error(err)
		}
	})
	start := func(of *runner, args ...string) *running {
		p := of.start(args...)
		if _, err := p.stdin.WriteString("here\n"); err != nil {
			t.Fatal(err)
		}
		p.await("here")
		return p
	}
	homeless := *r
	homeless.home, homeless.cache = "", ""
	for _, p := range []*running{start(r, "--quiet", image, "cat"), start(r, kitchen(t), "cat"), start(&homeless, kitchen(t), "cat")} {
		p.signal(syscall.SIGKILL)
		_ = p.cmd.Wait() // it was killed
	}
	killed := left(t, r.tmp)
	if len(killed) != 4 { // three roots, and a cache
		t.Fatalf("killed runs leave %q", killed)
	}
	t.Logf("something of them is still mounted: %v", mounted(t, r.tmp))

	living := start(r, "--quiet", image, "cat") // removes the folders of the killed runs
	alive := left(t, r.tmp)
	if len(alive) != 1 || slices.Contains(killed, alive[0]) {
		t.Fatalf("of %q are left: %q", killed, alive)
	}
	// The program must not remove these: a folder of another user, and two files that only have
	// such a name.
	foreign, link := filepath.Join(r.tmp, scratchPrefix+"foreign"), filepath.Join(r.tmp, scratchPrefix+"link")
	kept := t.TempDir()
	for _, err := range []error{os.Symlink(kept, link), os.WriteFile(filepath.Join(r.tmp, scratchPrefix+"file"), nil, 0o600), os.Mkdir(foreign, 0o777)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	others := 1
	if os.Geteuid() == 0 {
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		others++
	}
	cmd := r.command(t.Context(), image, "each", "cat /etc/motd")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "hello") || stderr.Len() > 0 {
		t.Errorf("beside one that lives: %q, %v, %s", out, err, &stderr)
	}
	if now := left(t, r.tmp); len(now) != 2+others || !slices.Contains(now, alive[0]) {
		t.Errorf("there are %q", now)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	for _, path := range []string{link, filepath.Join(r.tmp, scratchPrefix+"file"), foreign} {
		_ = os.Remove(path)
	}
	if _, err := living.stdin.WriteString("still\n"); err != nil {
		t.Fatal(err)
	}
	living.await("still")
	_ = living.stdin.Close()
	living.ended(0)
	if mounted(t, r.tmp) {
		t.Error("something is still mounted")
	}
}

// TestScratchIsKept: while other runs sweep, a run keeps its folder until it removes the folder
// itself.
func TestScratchIsKept(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				own, err := newScratch()
				if err != nil {
					t.Error(err)
					return
				}
				sweepScratch(zap.NewNop())
				file := filepath.Join(own.dir, "file")
				if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
					t.Error(err)
				}
				sweepScratch(zap.NewNop())
				if _, err := os.Stat(file); err != nil {
					t.Error(err)
				}
				if err := own.remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if names := left(t, os.TempDir()); len(names) > 0 {
		t.Errorf("left are %q", names)
	}
}
