package pool

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

const nobody = 65534

// TestIsWorker: the agent may kill a process of this user that was started as the worker of this
// folder, by any path.
func TestIsWorker(t *testing.T) {
	command := []string{"/proc/self/exe", "worker", "--build=b1"}
	const dir = "/data/workers/shard0-17"
	own := uint32(os.Getuid())
	for _, c := range []struct {
		what string
		user uint32
		args []string
		want bool
	}{
		{"a worker", own, []string{"worker", "--stand", "--dir=" + dir}, true},
		{"by another path, of another build", own, []string{"worker", "--stand", "--build=b0", "--dir=/link/workers/shard0-17"}, true},
		{"of another folder", own, []string{"worker", "--stand", "--dir=/data/workers/shard0-1"}, false},
		{"of no folder", own, []string{"worker", "--stand"}, false},
		{"another command", own, []string{"stand", "worker", "--dir=" + dir}, false},
		{"another user's", nobody, []string{"worker", "--stand", "--dir=" + dir}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			cmd := exec.Command("/proc/self/exe", c.args...)
			if c.user != own {
				if own != 0 { // only root can be another user; process 1 belongs to another user
					if isWorker(1, command, dir) {
						t.Error("it is a worker")
					}
					return
				}
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.user, Gid: c.user}}
				cmd.Dir = "/"
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer cmd.Process.Kill()
			if line, _ := bufio.NewReader(out).ReadString('\n'); line != "here\n" {
				t.Fatalf("it says %q", line)
			}
			if got := isWorker(cmd.Process.Pid, command, dir); got != c.want {
				t.Errorf("it is a worker: %v", got)
			}
		})
	}
	if isWorker(1<<30, command, dir) {
		t.Error("a process that is not there is a worker")
	}
}

// TestLockerOf: the kernel lists the process that holds a folder, which is this process.
func TestLockerOf(t *testing.T) {
	dirs := t.TempDir()
	for i := range 3 {
		dir := filepath.Join(dirs, fmt.Sprint(i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		folder, err := wire.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		if pid, err := lockerOf(folder); err != nil || pid != 0 {
			t.Errorf("a free folder is held by %d: %v", pid, err)
		}
		if err := unix.Flock(int(folder.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		if pid, err := lockerOf(folder); err != nil || pid != os.Getpid() && pid != 0 { // see lockerOf
			t.Errorf("a folder of this process is held by %d: %v", pid, err)
		}
	}
}
