package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// outcome is what a confined process was able to do: by name, the text of the error, or empty for
// success.
type outcome struct {
	Did     map[string]string
	Threads map[string][]string // values of each field of /proc/self/task/*/status
	Lost    []string
	Limits  map[string]uint64
	OOM     string // oom_score_adj
}

// attempts tries everything that a worker must and must not be able to do.
func attempts(what task) {
	before := newThreads(4)
	listener, err := net.Listen("unix", filepath.Join(what.Dir, "own/socket"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(6)
	}
	lost := apply(what)
	after := newThreads(4)
	o := outcome{Did: make(map[string]string), Lost: lost}
	try := func(name string, err error) {
		if o.Did[name] = ""; err != nil {
			o.Did[name] = err.Error()
		}
	}
	tryProcesses(try, what.Agent)
	tryFiles(try, what.Dir)
	tryWork(try, listener)
	o.Threads = statusOfThreads()
	var files unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	o.Limits = map[string]uint64{"open files": files.Cur}
	score, _ := os.ReadFile("/proc/self/oom_score_adj")
	o.OOM = strings.TrimSpace(string(score))
	before.end()
	after.end()
	say(o)
}

func tryProcesses(try func(string, error), agent int) {
	try("run a program", exec.Command("/bin/true").Run())
	try("become a program", syscall.Exec("/bin/true", []string{"true"}, nil))
	try("mount", unix.Mount("none", "/none", "tmpfs", 0, ""))
	try("unmount", unix.Unmount("/none", unix.MNT_DETACH))
	try("chroot", unix.Chroot("/"))
	try("new namespace", unix.Unshare(unix.CLONE_NEWUSER))
	_, err := unix.Fsopen("tmpfs", 0)
	try("open a file system", err)
	try("trace", unix.PtraceAttach(agent))
	for _, name := range []string{"mem", "environ", "maps"} {
		_, err := readSome(fmt.Sprintf("/proc/%d/%s", agent, name))
		try("read the agent's "+name, err)
	}
	_, err = os.ReadDir(fmt.Sprintf("/proc/%d/root/", agent))
	try("look through the agent's root", err)
	var word [8]byte
	_, err = unix.ProcessVMReadv(agent, []unix.Iovec{{Base: &word[0], Len: 8}}, []unix.RemoteIovec{{Base: 4096, Len: 8}}, 0)
	try("read the agent's memory", err)
	try("signal the agent", unix.Kill(agent, 0))
	try("limit the agent", unix.Prlimit(agent, unix.RLIMIT_NOFILE, nil, &unix.Rlimit{}))
	_, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	try("unix socket", err)
	_, err = unix.KeyctlInt(unix.KEYCTL_GET_KEYRING_ID, unix.KEY_SPEC_SESSION_KEYRING, 0, 0, 0)
	try("keys", err)
	try("set the clock", unix.Settimeofday(&unix.Timeval{Usec: -1}))
}

func tryFiles(try func(string, error), dir string) {
	in := func(name string) string { return filepath.Join(dir, name) }
	_, err := os.ReadFile(in("config/kubeconfig"))
	try("read what is hidden", err)
	try("write what is hidden", os.WriteFile(in("config/new"), nil, 0o600))
	try("move what is hidden", os.Rename(in("config/kubeconfig"), in("pods/stolen")))
	try("link what is hidden", os.Link(in("config/kubeconfig"), in("pods/linked")))
	try("move the hidden folder", os.Rename(in("config"), in("pods/config")))
	_, err = os.ReadFile(in("link/kubeconfig"))
	try("read what is hidden by a link", err)
	try("close the hidden folder", os.Chmod(in("config"), 0))
	try("give the hidden folder away", os.Lchown(in("config"), os.Getuid(), os.Getgid()))
	try("mark what is hidden", unix.Lsetxattr(in("config/kubeconfig"), "user.mark", []byte("x"), 0))
	try("close a volume", os.Chmod(in("pods/file"), 0))
	_, err = os.ReadFile(in("other/socket"))
	try("read another worker's folder", err)

	_, err = os.ReadFile(in("code/module"))
	try("read code", err)
	try("write code", os.WriteFile(in("code/module"), nil, 0o600))
	try("truncate code", os.Truncate(in("code/module"), 0))
	try("remove code", os.Remove(in("code/module")))
	try("add code", os.WriteFile(in("code/new"), nil, 0o600))
	try("turn a core pattern on", writeSome("/proc/sys/kernel/core_pattern"))
	try("write below /sys", writeSome("/sys/kernel/mm/transparent_hugepage/enabled"))

	_, err = os.ReadFile(in("pods/file"))
	try("read a volume", err)
	try("write a volume", os.WriteFile(in("pods/file"), []byte("new"), 0o600))
	try("make a folder in a volume", os.MkdirAll(in("pods/a/b"), 0o700))
	try("move within a volume", os.Rename(in("pods/file"), in("pods/a/b/file")))
	try("remove from a volume", os.RemoveAll(in("pods/a")))
	try("write its own folder", os.WriteFile(in("own/log"), nil, 0o600))
	fd, err := unix.Openat2(unix.AT_FDCWD, in("pods"), &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC})
	try("openat2", err)
	_, err = os.ReadDir(fmt.Sprintf("/proc/self/fd/%d/", fd))
	try("go through /proc/self/fd", err)
	_, err = os.ReadDir("/")
	try("list the root", err)
	_, err = readSome("/dev/urandom")
	try("read random numbers", err)
	try("write to /dev/null", writeSome("/dev/null"))
	_, err = readSome("/etc/passwd")
	try("read what the system has", err)
	_, err = readSome("/dev/tty")
	try("read a device", err)
}

func tryWork(try func(string, error), listener net.Listener) {
	code, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	try("map memory", err)
	try("make code of it", unix.Mprotect(code, unix.PROT_READ|unix.PROT_EXEC))
	_, err = unix.MemfdCreate("image", unix.MFD_CLOEXEC)
	try("memory as a file", err)
	try("TCP", conversation("tcp", "127.0.0.1:0"))
	_, err = net.ListenPacket("udp", "127.0.0.1:0")
	try("UDP", err)
	_, err = net.Interfaces()
	try("list addresses", err)
	try("a signal to itself", unix.Kill(os.Getpid(), unix.SIGURG))
	try("the socket it had", listener.(*net.UnixListener).SetDeadline(unixEpoch))
	_, err = listener.Accept()
	if errors.Is(err, os.ErrDeadlineExceeded) { // accepting was allowed
		err = nil
	}
	try("accept from the socket it had", err)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with this goroutine
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, 5); err != nil {
			done <- err
			return
		}
		done <- unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
	}()
	try("take a priority back", <-done)
	try("listen below 1024", func() error {
		l, err := net.Listen("tcp", "127.213.7.5:81")
		if err == nil {
			l.Close()
		}
		return err
	}())
}

// conversation sends one byte and receives one.
func conversation(network, address string) error {
	l, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	c, err := net.Dial(network, l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

func readSome(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	some := make([]byte, 16)
	n, err := f.Read(some)
	return some[:n], err
}

// writeSome opens a file for writing, and writes nothing.
func writeSome(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// threads makes threads that wait.
type threads struct {
	stop chan struct{}
	all  sync.WaitGroup
}

func newThreads(n int) *threads {
	t := &threads{stop: make(chan struct{})}
	up := make(chan bool)
	for range n {
		t.all.Go(func() {
			runtime.LockOSThread()
			up <- true
			<-t.stop
		})
	}
	for range n {
		<-up
	}
	return t
}

func (t *threads) end() {
	close(t.stop)
	t.all.Wait()
}

// statusOfThreads collects the values of some fields for all threads. If all threads have the same
// value, the result has one value.
func statusOfThreads() map[string][]string {
	found := make(map[string][]string)
	files, _ := filepath.Glob("/proc/self/task/*/status")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			field, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			value = strings.TrimSpace(value)
			if (strings.HasPrefix(field, "Cap") || field == "NoNewPrivs" || field == "Seccomp") && !slices.Contains(found[field], value) {
				found[field] = append(found[field], value)
			}
		}
	}
	found["threads"] = []string{fmt.Sprint(len(files))}
	return found
}

// data is a data directory like that of an agent of the user u, and the Config of its worker.
func data(t *testing.T, u user) task {
	t.Helper()
	dir := folder(t, u)
	for _, name := range []string{"config/kubeconfig", "other/socket", "code/module", "pods/file", "own/worker.json"} {
		folder, file_, _ := strings.Cut(name, "/")
		file(t, u, dir, folder, file_)
	}
	if err := os.Symlink("config", dir+"/link"); err != nil {
		t.Fatal(err)
	}
	return task{Dir: dir, Agent: os.Getpid(), Config: Config{
		Hidden:   []string{dir + "/config", dir + "/other", dir + "/later", dir + "/bootstrap.conf", closed(t) + "/a/b"},
		ReadOnly: []string{dir + "/code"},
	}}
}

// closed is a folder that ordinary users cannot enter.
func closed(t *testing.T) string { return folder(t, user{id: uint32(os.Getuid())}) }

// may lists what a worker can do. Every other attempt must fail.
var may = []string{
	"read code", "read a volume", "write a volume", "make a folder in a volume", "move within a volume", "remove from a volume",
	"write its own folder", "openat2", "go through /proc/self/fd", "list the root", "read random numbers", "write to /dev/null",
	"read what the system has", "map memory", "make code of it", "memory as a file", "TCP", "UDP", "list addresses",
	"a signal to itself", "the socket it had", "accept from the socket it had",
}

// docs/security.md: "Workers do not see them."
// docs/security.md: "A guest that breaks out of wasmtime has a process without credentials that can
// execute, mount, trace and signal nothing"
// docs/security.md: "root's workers keep what belongs to root."
func TestWorkerCanDoItsWorkAndNoMore(t *testing.T) {
	for _, u := range users() {
		t.Run(u.name, func(t *testing.T) {
			what := data(t, u)
			// The agent is another process of the same user. It has no relation to the worker that
			// would change the kernel's decision.
			agent := command(t, u, "lines", what)
			hold, err := agent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := agent.Start(); err != nil {
				t.Fatal(err)
			}
			defer agent.Wait()
			defer agent.Process.Kill()
			if _, err := hold.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			what.Agent = agent.Process.Pid
			got := perform[outcome](t, u, "attempts", what)

			can := slices.Clone(may)
			if u.id == 0 {
				can = append(can, "take a priority back", "listen below 1024")
			}
			for name, failed := range got.Did {
				if allowed := slices.Contains(can, name); allowed && failed != "" {
					t.Errorf("%s: %s", name, failed)
				} else if !allowed && !forbidden(failed) && !depends(u, name) {
					t.Errorf("%s: %q is not a refusal", name, failed)
				}
			}
			for _, name := range can {
				if _, tried := got.Did[name]; !tried {
					t.Errorf("%s: not tried", name)
				}
			}
			checkThreads(t, u, got.Threads)
			if got.OOM != "500" {
				t.Errorf("oom_score_adj is %q", got.OOM)
			}
			if lost := strings.Join(got.Lost, "; "); u.id == 0 && lost != "" || u.id != 0 && !strings.HasPrefix(lost, "limits: threads") {
				t.Errorf("lost: %q", lost)
			}
			if secret, err := os.ReadFile(what.Dir + "/config/kubeconfig"); err != nil || string(secret) != "text" {
				t.Errorf("the kubeconfig is %q now: %v", secret, err)
			}
		})
	}
}

// forbidden reports whether this is the error with which a kernel forbids something.
func forbidden(text string) bool {
	return slices.ContainsFunc([]error{unix.EPERM, unix.EACCES, unix.EXDEV}, func(err error) bool {
		return strings.HasSuffix(text, err.Error())
	})
}

// depends reports whether the result depends on the machine's settings.
func depends(u user, name string) bool {
	return u.id != 0 && (name == "listen below 1024" || name == "take a priority back")
}

func checkThreads(t *testing.T, u user, got map[string][]string) {
	t.Helper()
	want := map[string]string{"CapInh": "0000000000000000", "CapPrm": "0000000000000000", "CapEff": "0000000000000000",
		"CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}
	if u.id == 0 {
		left := uint64(1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER)
		if !canRaiseLimits() {
			left |= 1 << unix.CAP_SYS_NICE
		}
		all := fmt.Sprintf("%016x", left)
		want["CapPrm"], want["CapEff"], want["CapBnd"] = all, all, all
	}
	for field, value := range want {
		if !slices.Equal(got[field], []string{value}) {
			t.Errorf("%s of %v threads: %v, want %s", field, got["threads"], got[field], value)
		}
	}
}

// lines acts as an agent: it prints a line and waits until it is killed.
func lines(task) {
	_ = os.NewFile(1, "stdout").Sync()
	fmt.Println("here")
	select {}
}

func TestSignalsOfTheAgentReachTheWorker(t *testing.T) {
	for _, u := range users() {
		t.Run(u.name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			cmd := command(t, u, "terminated", data(t, u))
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var ready, ended string
			in := json.NewDecoder(out)
			if err := in.Decode(&ready); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := in.Decode(&ended); err != nil || ended != "terminated" {
				t.Errorf("said %q after SIGTERM: %v", ended, err)
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
}

// canRaiseLimits reports whether this process has CAP_SYS_RESOURCE. In some containers root does
// not have it.
func canRaiseLimits() bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NICE, &limit) != nil {
		return false
	}
	if limit.Max >= 20 {
		return true
	}
	has, err := cap.GetProc().GetFlag(cap.Effective, cap.SYS_RESOURCE)
	return err == nil && has
}
