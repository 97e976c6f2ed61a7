package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
)

// TestSharesOfDescriptors: for every limit, the agent's reserve and the shares of others together
// are not more than the limit. No share is empty.
//
// docs/security.md: "Work that others cause has shares of the process's open files".
// docs/security.md: "The agent keeps 256 files, and 16 for each pod (`--max-pods`)".
func TestSharesOfDescriptors(t *testing.T) {
	for _, limit := range []uint64{256, 1024, 4096, 20_000, 65_536, 524_288, 1 << 20, 1 << 63} {
		for _, pods := range []int{1, 110, 500, 5000} {
			d := shareOut(limit, pods, 5)
			t.Logf("%d files, %d pods: %+v", limit, pods, d)
			if d.own+d.files() > d.limit || uint64(d.limit) > limit {
				t.Errorf("%d files, %d pods: the agent keeps %d and others may have %d", limit, pods, d.own, d.files())
			}
			if l := d.connections; min(l.Pending, l.Strangers, l.Tokens, l.Certified, d.readers, d.forwards, d.hostPorts) < 1 {
				t.Errorf("%d files, %d pods: one share is empty: %+v", limit, pods, d)
			}
			if int(min(limit, 1<<30)) >= wanted(pods) && d.own < filesOfAgent+pods*filesOfPod {
				t.Errorf("%d files, %d pods: the agent keeps %d", limit, pods, d.own)
			}
		}
	}
	// docs/security.md: "With a limit of 524,288 thousands of logs can be followed at a time".
	if d := shareOut(524_288, 110, 5); d.readers < 4000 || d.connections.Certified < 10_000 {
		t.Errorf("%+v", d)
	}
}

// TestSharesAreAsDocumented.
//
// docs/security.md: "of the rest, three eighths are for these connections, three eighths for logs
// that are read, an eighth for connections to
// [ports of the node](networking.md#ports-of-the-node), and a sixteenth for those of port-forward."
// docs/security.md: "Each log may take one file more than `--container-log-max-files`."
// docs/security.md: "with a small one there are fewer of all kinds"
func TestSharesAreAsDocumented(t *testing.T) {
	const pods, logs, rest = 10, 5, 16_000
	d := shareOut(256+16*pods+rest, pods, logs)
	for what, n := range map[string]struct{ has, want int }{
		"connections": {d.connections.Files(), rest * 3 / 8}, "logs": {d.readers * (logs + 1), rest * 3 / 8},
		"connections to ports of the node": {d.hostPorts * 2, rest / 8}, "forwarded connections": {d.forwards, rest / 16},
	} {
		if n.has > n.want || n.has < n.want*9/10 {
			t.Errorf("%s have %d files, want %d", what, n.has, n.want)
		}
	}
	small := shareOut(2000, pods, logs)
	if small.connections.Certified >= d.connections.Certified || small.readers >= d.readers || small.hostPorts >= d.hostPorts || small.forwards >= d.forwards {
		t.Errorf("with a small limit: %+v, with a large one: %+v", small, d)
	}
}

// docs/security.md: "with less than twice what the agent keeps, a warning says so when it starts".
func TestLimitOfDescriptorsIsTooSmall(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for pods, lines := range map[int]int{1: 0, int(limit.Cur)/filesOfPod + 1: 1} { //nolint:gosec // a limit of files
		core, seen := observer.New(zap.WarnLevel)
		if _, err := newDescriptors(config.Config{MaxPods: pods, ContainerLogMaxFiles: 5}, zap.New(core)); err != nil {
			t.Fatal(err)
		}
		if seen.Len() != lines {
			t.Errorf("%d pods: logged %v", pods, seen.All())
		}
		for _, line := range seen.All() {
			for _, word := range []string{fmt.Sprint(limit.Cur), fmt.Sprintf("--max-pods=%d", pods), "LimitNOFILE"} {
				if !strings.Contains(line.Message, word) || strings.Contains(line.Message, "\n") {
					t.Errorf("%q does not say %q in one line", line.Message, word)
				}
			}
		}
	}
}

// TestSoftLimitOfDescriptorsIsRaised: a process may open as many files as the hard limit allows,
// even if its soft limit was lower at the start.
//
// docs/security.md: "The soft limit is raised to the hard one".
func TestSoftLimitOfDescriptorsIsRaised(t *testing.T) {
	const asked = "KRUSTLET_TEST_PRINT_FILES"
	if os.Getenv(asked) != "" {
		d, err := newDescriptors(config.Config{MaxPods: 1, ContainerLogMaxFiles: 2}, zap.NewNop())
		fmt.Println("LIMIT", d.limit, err)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", `ulimit -Sn 300 && ulimit -Hn 1000 && exec "$0" -test.run "^TestSoftLimitOfDescriptorsIsRaised$"`, self)
	cmd.Env = append(os.Environ(), asked+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "LIMIT 999 <nil>") { // Go leaves one out
		t.Errorf("%v: %s", err, out)
	}
}
