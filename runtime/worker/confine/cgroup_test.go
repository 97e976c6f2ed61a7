package confine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// version2 finds the path where cgroups of version 2 are mounted and writable for this process.
func version2(t *testing.T) string {
	t.Helper()
	for _, at := range []string{Cgroup2, Cgroup2 + "/unified"} {
		var info unix.Statfs_t
		if unix.Statfs(at, &info) == nil && info.Type == unix.CGROUP2_SUPER_MAGIC && unix.Access(at, unix.W_OK) == nil {
			return at
		}
	}
	t.Skip("no cgroups of version 2 that this process may change")
	return ""
}

// TestGroupsOnTheKernel puts a worker into its own group, below a group that the test made, and
// removes the worker's group after its exit.
func TestGroupsOnTheKernel(t *testing.T) {
	mount := version2(t)
	own := fmt.Sprintf("confine-test-%d", os.Getpid())
	top := filepath.Join(mount, own)
	if err := os.Mkdir(top, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range []string{"workers", ""} {
			if err := os.Remove(filepath.Join(top, name)); err != nil && !os.IsNotExist(err) {
				t.Error(err)
			}
		}
	})
	u := users()[0]
	worker := command(t, u, "lines", task{})
	out, err := worker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			_ = worker.Process.Kill()
			_ = worker.Wait()
			ended = true
		}
	}
	defer end()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	common := Limits{Memory: 1 << 30, CPUMilli: 1500, Pids: 1000}
	g, lost, err := newGroups(mount, own+"/agent", "workers", common)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"memory", "cpu", "pids"} {
		has := slices.Contains(controllers(top), name)
		if told := strings.Contains(strings.Join(lost, "; "), name+" limit"); told == has {
			t.Errorf("the %s controller: there %v, lost %v", name, has, lost)
		}
	}
	if _, err := g.Add("one", worker.Process.Pid, Limits{}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", worker.Process.Pid)); err != nil ||
		!strings.Contains(string(got), "0::/"+own+"/workers/one\n") {
		t.Errorf("the worker is in %q: %v", got, err)
	}
	if err := g.Remove("one"); err == nil {
		t.Error("a group with a process in it was removed")
	}
	if names, err := g.Names(); err != nil || !slices.Equal(names, []string{"one"}) {
		t.Errorf("groups %v: %v", names, err)
	}
	end()
	for range 2 {
		if err := g.Remove("one"); err != nil {
			t.Error(err)
		}
	}
	if names, err := g.Names(); err != nil || len(names) > 0 {
		t.Errorf("groups %v: %v", names, err)
	}
}

// TestLimitsAreWritten checks the written files in a folder that looks like cgroups, because some
// kernels on which tests run do not have the controllers.
func TestLimitsAreWritten(t *testing.T) {
	mount := t.TempDir()
	unit := filepath.Join(mount, "system.slice/krustlet-wasi.service")
	for _, dir := range []string{"", "workers", "workers/one"} {
		if err := os.MkdirAll(filepath.Join(unit, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"cgroup.controllers": "cpuset cpu io memory", "cgroup.procs": "", "cgroup.subtree_control": "",
			"memory.max": "", "cpu.max": ""} {
			if err := os.WriteFile(filepath.Join(unit, dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	g, lost, err := newGroups(mount, "/system.slice/krustlet-wasi.service/agent", "workers", Limits{Memory: 1 << 30, CPUMilli: 1500, Pids: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(lost) != 1 || !strings.HasPrefix(lost[0], "pids limit") {
		t.Errorf("lost %q, want the limit of processes", lost)
	}
	if lost, err := g.Add("one", 78, Limits{Memory: 1 << 20}); err != nil || len(lost) > 0 {
		t.Errorf("lost %q: %v", lost, err)
	}
	got := make(map[string]string)
	for _, name := range []string{"cgroup.procs", "workers/memory.max", "workers/cpu.max", "workers/one/memory.max",
		"workers/one/cpu.max", "workers/one/cgroup.procs"} {
		text, err := os.ReadFile(filepath.Join(unit, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(text)
	}
	want := map[string]string{"cgroup.procs": "", "workers/memory.max": "1073741824", "workers/cpu.max": "150000 100000",
		"workers/one/memory.max": "1048576", "workers/one/cpu.max": "max 100000", "workers/one/cgroup.procs": "78"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
}

// TestOutOfMemory reads the kernel's files of a group, in a folder that looks like one.
func TestOutOfMemory(t *testing.T) {
	g := &Groups{t.TempDir()}
	for name, c := range map[string]struct {
		events string
		want   bool
	}{
		"killed": {"low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n", true},
		"not":    {"low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n", false},
		"older":  {"low 0\n", false},
		"empty":  {"", false},
	} {
		if err := os.Mkdir(filepath.Join(g.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(g.dir, name, "memory.events"), []byte(c.events), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := g.OutOfMemory(name); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for _, name := range []string{"no memory controller", "../" + filepath.Base(g.dir) + "/killed", ""} {
		if g.OutOfMemory(name) {
			t.Errorf("%q was killed", name)
		}
	}
}

func TestNamesOfGroups(t *testing.T) {
	g := &Groups{t.TempDir()}
	for _, name := range []string{"", ".", "..", "a/b", "/"} {
		if _, err := g.Add(name, 1, Limits{}); err == nil || !strings.Contains(err.Error(), "name") {
			t.Errorf("%q is taken: %v", name, err)
		}
	}
	if _, _, err := NewGroups(t.TempDir(), "workers", Limits{}); err == nil {
		t.Error("a folder that is no cgroup is taken")
	}
}
