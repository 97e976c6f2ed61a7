package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

// outside runs a program in a view of the machine with an overlay over all files. What the program
// writes is in WORK/upper and nowhere else, except in the data directory and the kernel's own file
// systems. A process whose ID is in WORK.eye can see that folder. Arguments: WORK, the data
// directory, the program, its arguments.
const outside = `set -e
work=$1 data=$2 bin=$3
shift 3
mount -t tmpfs none "$work"
mkdir "$work/upper" "$work/rest" "$work/all"
mount -t overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/rest" none "$work/all"
for at in /proc /sys /dev "$data" "${bin%/*}"; do
	mkdir -p "$work/all$at"
	mount --rbind "$at" "$work/all$at"
done
sleep 900 </dev/null >/dev/null 2>&1 &
echo $! >"$work.eye"
exec chroot "$work/all" "$bin" "$@"
`

// docs/security.md: "The agent writes nothing outside the data directory"
func TestNothingIsWrittenOutside(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	s := &suite{cluster: cluster, images: testnode.NewRegistry(t)}
	s.hello, s.kitchen = s.images.PushGuest(t, "hello"), s.images.PushGuest(t, "kitchen")
	s.node = testnode.New(t, cluster, "")
	eye := overlaid(t, s.node, "")
	s.node.Compiled(t, "kitchen") // hello is compiled in this test
	s.node.Join(t)
	known := []string{s.node.DataDir}
	first := eye()
	ns := cluster.Namespace(t)
	pod := s.pod("writes", s.kitchen, "sleep", "1h")
	pod.Spec.Containers[0].ReadinessProbe = &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"kitchen", "exit", "0"}}}, PeriodSeconds: 1,
	}
	made := s.create(t, ns, pod)
	s.create(t, ns, s.pod("prints", s.hello, "0", "100ms"))
	for _, name := range []string{"writes", "prints"} {
		s.awaitPhase(t, ns, name, corev1.PodRunning)
	}
	cluster.Kubectl(t, "logs", "-n", ns, "prints")
	checkWritten(t, "with pods", first, known)
	checkModes(t, s.node.DataDir)
	s.node.Stop(t)
	s.node.Start(t)
	s.node.WaitReady(t)
	s.delete(t, made)
	s.awaitGone(t, made)
	checkWritten(t, "before the restart", first, known)
	checkWritten(t, "after a restart", eye(), known)
}

// overlaid gives a node a program that runs in such a view, after one line of shell. eye returns
// the path of the written files once the node has started.
func overlaid(t *testing.T, node *testnode.Node, first string) (eye func() string) {
	t.Helper()
	work, dir := t.TempDir(), t.TempDir()
	script := filepath.Join(dir, "agent")
	user := ""
	if os.Geteuid() != 0 {
		user = "--map-root-user "
	}
	text := fmt.Sprintf("#!/bin/sh\n%s\nexec unshare %s--mount --propagation private sh -c '%s' sh %s %s %s \"$@\"\n",
		first, user, outside, work, node.DataDir, testnode.Binary(t))
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	node.Binary = script
	return func() string {
		pid, err := strconv.Atoi(strings.TrimSpace(readFile(t, work+".eye")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
		return fmt.Sprintf("/proc/%d/root%s/upper", pid, work)
	}
}

// checkWritten fails if a file was written outside of the known paths.
func checkWritten(t *testing.T, when, root string, known []string) {
	t.Helper()
	known = append([]string{filepath.Dir(testnode.Binary(t)), "/proc", "/sys", "/dev"}, known...) // the script makes these
	seen := false
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		seen = true
		at := "/" + strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
		for _, k := range known {
			if e.IsDir() && strings.HasPrefix(k+"/", strings.TrimSuffix(at, "/")+"/") || strings.HasPrefix(at, k+"/") {
				return nil
			}
		}
		t.Errorf("%s the agent has written %s", when, at)
		return nil
	})
	if err != nil || !seen {
		t.Fatalf("looking for what was written: %v", err)
	}
}

// TestNamedPlacesAreWritten: outside of the data directory, the agent writes only to the paths that
// an operator names.
//
// docs/security.md: "but for `KUBECONFIG`, `--cert-file`, `--private-key-file`, `--pod-logs-dir`
// and `--container-logs-dir` if these name other paths."
func TestNamedPlacesAreWritten(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Start(t)
	s := &suite{cluster: cluster, images: testnode.NewRegistry(t)}
	s.kitchen = s.images.PushGuest(t, "kitchen")
	s.node = testnode.New(t, cluster, "")
	named := t.TempDir()
	at := func(name string) string { return filepath.Join(named, name) }
	s.node.Args = append(s.node.Args, "--cert-file="+at("node.crt"), "--private-key-file="+at("node.key"),
		"--pod-logs-dir="+at("pods"), "--container-logs-dir="+at("containers"))
	eye := overlaid(t, s.node, "export KUBECONFIG="+at("kubeconfig"))
	s.node.Join(t)
	ns := cluster.Namespace(t)
	s.create(t, ns, s.pod("writes", s.kitchen, "sleep", "1h"))
	s.awaitPhase(t, ns, "writes", corev1.PodRunning)
	root := eye()
	checkWritten(t, "with other places", root, []string{s.node.DataDir, named})
	for _, name := range []string{"kubeconfig", "node.crt", "node.key", "pods", "containers"} {
		if _, err := os.Lstat(filepath.Join(root, at(name))); err != nil {
			t.Errorf("it was not written where it was named: %v", err)
		}
	}
}

// docs/security.md: "`modules/` | 0700, files 0600"
// docs/security.md: "`pods/` | 0700"
// docs/security.md: "`logs/` | 0755, files 0640"
// docs/security.md: "`config/image-rights/` | 0700, files 0600"
// docs/security.md: "`workers/` | 0700, files 0600"
// docs/security.md: "the data directory above them is closed"
func checkModes(t *testing.T, data string) {
	t.Helper()
	for place, mode := range map[string]fs.FileMode{
		"": 0o700, "config/kubeconfig": 0o600, "config/krustlet.key": 0o600, "config/krustlet.crt": 0o644,
		"config/image-rights": 0o700, "modules": 0o700, "pods": 0o700, "workers": 0o700, "logs": 0o755,
	} {
		if info, err := os.Stat(filepath.Join(data, place)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, want the mode %v: %v", place, info, mode, err)
		}
	}
	for place, most := range map[string]fs.FileMode{"config/image-rights": 0o600, "modules": 0o600, "workers": 0o600, "logs": 0o640} {
		files := 0
		err := filepath.WalkDir(filepath.Join(data, place), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			if files++; info.Mode().Perm()&^most != 0 {
				t.Errorf("%s has the mode %v, want %v at most", path, info.Mode(), most)
			}
			return nil
		})
		if err != nil || files == 0 && place != "config/image-rights" {
			t.Errorf("%s: %d files, %v", place, files, err)
		}
	}
}
