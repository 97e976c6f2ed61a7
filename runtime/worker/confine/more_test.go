package confine

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var unixEpoch = time.Unix(0, 0)

// terminated is a worker that collects garbage and starts threads under the filter, until SIGTERM.
func terminated(what task) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, unix.SIGTERM)
	apply(what)
	for range 20 {
		newThreads(4).end()
		runtime.GC() // this stops all threads, with signals
	}
	say("ready")
	<-told
	say("terminated")
}

// hideAndShow prints which of its own files in /proc a process can still use after HideSelf.
func hideAndShow(what task) {
	if err := HideSelf(); err != nil {
		say(err.Error())
		return
	}
	var failed []string
	for _, path := range []string{"exe", "maps", "stat", "status", "limits", "fd/1", "task/self/stat"} {
		path = strings.Replace(path, "self", fmt.Sprint(unix.Gettid()), 1)
		if path == "exe" || path == "fd/1" {
			if _, err := os.Readlink("/proc/self/" + path); err != nil {
				failed = append(failed, err.Error())
			}
		} else if _, err := os.ReadFile("/proc/self/" + path); err != nil {
			failed = append(failed, err.Error())
		}
	}
	for _, dir := range []string{"fd", "task"} {
		if _, err := os.ReadDir("/proc/self/" + dir); err != nil {
			failed = append(failed, err.Error())
		}
	}
	cmd := exec.Command("/proc/self/exe") // in the way that the agent starts compilers and workers
	cmd.Env = []string{roleVariable + "=lines"}
	cmd.Stdin = strings.NewReader("{}")
	out, err := cmd.StdoutPipe()
	if err == nil {
		if err = cmd.Start(); err == nil {
			_, err = out.Read(make([]byte, 1))
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	if err != nil {
		failed = append(failed, "run itself: "+err.Error())
	}
	if what.Text != "" {
		say("here")
		select {}
	}
	say(strings.Join(failed, "; "))
}

func TestHiddenProcessWorks(t *testing.T) {
	for _, u := range users() {
		t.Run(u.name, func(t *testing.T) {
			if failed := perform[string](t, u, "hidden", task{}); failed != "" {
				t.Error(failed)
			}
		})
	}
}

// TestHiddenProcessIsHidden tries to read an agent's memory as an ordinary user, without Landlock.
func TestHiddenProcessIsHidden(t *testing.T) {
	u := users()[len(users())-1]
	if u.id == 0 {
		t.Skip("root without any other user")
	}
	for role, open := range map[string]bool{"lines": true, "hidden": false} {
		agent := command(t, u, role, task{Text: "stay"})
		out, err := agent.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		runtime.LockOSThread()
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		reader := exec.Command("/bin/cat", fmt.Sprintf("/proc/%d/environ", agent.Process.Pid))
		reader.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		said, err := reader.CombinedOutput()
		if got := err == nil; got != open {
			t.Errorf("role %s: another process read its environment: %v: %s", role, got, said)
		}
		_ = agent.Process.Kill()
		_ = agent.Wait()
		runtime.UnlockOSThread()
	}
}
