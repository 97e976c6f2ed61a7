package confine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A confined process cannot be a test any more. So each one is this program again, in a role.
const roleVariable = "CONFINE_TEST_ROLE"

var roles = map[string]func(task){
	"attempts":   attempts,
	"terminated": terminated,
	"lines":      lines,
	"hidden":     hideAndShow,
	"measure":    measure,
	"served":     served,
}

// task is the input of a process in a role.
type task struct {
	Config Config
	Dir    string // for its files
	Agent  int    // the process that a worker tries to read
	Text   string
}

func TestMain(m *testing.M) {
	if run, ok := roles[os.Getenv(roleVariable)]; ok {
		var t task
		if err := json.NewDecoder(os.Stdin).Decode(&t); err != nil {
			fmt.Fprintln(os.Stderr, "the task:", err)
			os.Exit(3)
		}
		run(t)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The number of an ordinary user.
const nobody = 65534

// user is the user of a process in the test.
type user struct {
	name string
	id   uint32
}

// users are the users with which this test can run processes. Root can be both.
func users() []user {
	if os.Getuid() != 0 {
		return []user{{"as this user", uint32(os.Getuid())}}
	}
	return []user{{"as root", 0}, {"as an ordinary user", nobody}}
}

// command prepares a process in a role.
func command(t testing.TB, u user, role string, what task) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{roleVariable + "=" + role}
	cmd.Dir = "/"
	cmd.Stdin = bytes.NewReader(text)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if int(u.id) != os.Getuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.id, Gid: u.id}
	}
	return cmd
}

// perform runs a process in a role and reads its answer.
func perform[R any](t testing.TB, u user, role string, what task) (said R) {
	t.Helper()
	runtime.LockOSThread() // PDEATHSIG depends on the thread
	defer runtime.UnlockOSThread()
	out, err := command(t, u, role, what).Output()
	if err != nil {
		t.Fatalf("role %s: %v: %s", role, err, out)
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatalf("role %s said %q: %v", role, out, err)
	}
	return said
}

// say prints the answer of a process in a role.
func say(v any) {
	if err := json.NewEncoder(os.Stdout).Encode(v); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(4)
	}
}

// apply confines a process in a role.
func apply(what task) []string {
	lost, err := Apply(what.Config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "apply:", err)
		os.Exit(5)
	}
	return lost
}

// folder makes a directory that u owns and can access.
func folder(t *testing.T, u user) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "confine")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	owned(t, u, dir)
	return dir
}

func owned(t *testing.T, u user, path string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := os.Chown(path, int(u.id), int(u.id)); err != nil {
		t.Fatal(err)
	}
}

// file makes a file of the user u, and the directories above it.
func file(t *testing.T, u user, elements ...string) string {
	t.Helper()
	path := strings.Join(elements, "/")
	for _, up := range slices.Backward(parents(elements)) {
		if os.Mkdir(up, 0o700) == nil {
			owned(t, u, up)
		}
	}
	if err := os.WriteFile(path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	owned(t, u, path)
	return path
}

// parents are the directories between the first element and the last, with the innermost first.
func parents(elements []string) (all []string) {
	for n := len(elements) - 1; n > 1; n-- {
		all = append(all, strings.Join(elements[:n], "/"))
	}
	return all
}
