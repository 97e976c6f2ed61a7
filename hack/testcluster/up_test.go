package testcluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/eventually"
)

var components = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

func parsePID(content []byte) int {
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return -1
	}
	return pid
}

func readPID(t *testing.T, file string) int {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid := parsePID(content)
	if pid <= 1 {
		t.Fatalf("%s holds no process id: %q", file, content)
	}
	return pid
}

func readPIDs(t *testing.T, dir string) []int {
	t.Helper()
	var pids []int
	for _, component := range components {
		pids = append(pids, readPID(t, filepath.Join(dir, component+".pid")))
	}
	return pids
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing %d: %v", pid, err)
	}
}

// alive reports whether the process runs. A process that has exited and waits for its parent does
// not run.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat, []byte(") "))
	return len(state) > 0 && state[0] != 'Z' && state[0] != 'X'
}

// up is a ready `cluster up` in the folder dir.
type up struct {
	*process
	dir string
}

func startUp(t *testing.T, dir string, args ...string) up {
	t.Helper()
	p, err := startProcess(append([]string{"--dir", dir}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.stop() })
	return up{p, dir}
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// TestUpLeavesNothingBehind: a cluster beside the shared one starts and stops, and leaves no
// process and no file.
func TestUpLeavesNothingBehind(t *testing.T) {
	shared := Start(t)
	dir := filepath.Join(t.TempDir(), "cluster")
	cluster := startUp(t, dir)
	if want := filepath.Join(dir, "admin.kubeconfig"); cluster.kubeconfig != want {
		t.Errorf("the kubeconfig is said to be %s, not %s", cluster.kubeconfig, want)
	}
	for _, secret := range []string{cluster.kubeconfig, filepath.Join(dir, "pki", "ca.key")} {
		info, err := os.Stat(secret)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", secret, info.Mode())
		}
	}
	shared.Kubectl(t, "--kubeconfig", cluster.kubeconfig, "get", "serviceaccount", "default")
	pids := readPIDs(t, dir)
	if err := cluster.stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	for i, pid := range pids {
		if alive(pid) {
			t.Errorf("%s is still there", components[i])
		}
	}
	if left := list(t, dir); left != nil {
		t.Errorf("the folder is still there, with %q", left)
	}
	shared.Kubectl(t, "get", "serviceaccount", "default")
}

// TestUpKilled: if a cluster is killed, its components exit too. The next cluster in its folder
// removes its files, and changes no other file.
func TestUpKilled(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	killed := startUp(t, dir)
	pids := readPIDs(t, dir)
	kill(t, killed.cmd.Process.Pid)
	eventually.Succeeds(t, func() error {
		for i, pid := range pids {
			if alive(pid) {
				return fmt.Errorf("%s runs", components[i])
			}
		}
		return nil
	})

	next := startUp(t, dir, "--until-stdin-closes", "--keep")
	_ = next.stdin.Close()
	select {
	case <-next.gone:
	case <-time.After(stopTimeout):
		t.Fatal("the cluster did not stop when its standard input was closed")
	}
	if next.err != nil {
		t.Errorf("it ended with %v", next.err)
	}
	want := []string{"cluster.lock", "etcd.log", "kube-apiserver.log", "kube-controller-manager.log", "kube-scheduler.log", "mine"}
	if left := list(t, dir); strings.Join(left, " ") != strings.Join(want, " ") {
		t.Errorf("with --keep, %q are left, want %q", left, want)
	}
}

// TestEtcdRefusesTheClustersCertificates: etcd does not trust certificates of the cluster's
// authority, such as a node's. With access to etcd, a client could read all secrets.
func TestEtcdRefusesTheClustersCertificates(t *testing.T) {
	c := Start(t)
	pki := func(name string) string { return filepath.Join(c.Dir(), "pki", name) }
	get := func(identity string) error {
		pair, err := tls.LoadX509KeyPair(pki(identity+".crt"), pki(identity+".key"))
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{
				// The test asks only whom the server trusts.
				InsecureSkipVerify: true,
				// Always, whichever authorities the server asks for.
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
			},
		}}
		response, err := client.Get(etcdURL(t, c) + "/health")
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	if err := get("etcd-client"); err != nil {
		t.Errorf("etcd refuses its own client: %v", err)
	}
	if get("admin") == nil {
		t.Error("etcd takes the certificate of the cluster's administrator")
	}
}

func etcdURL(t *testing.T, c *Cluster) string {
	t.Helper()
	pid := readPID(t, filepath.Join(c.Dir(), "etcd.pid"))
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		t.Fatal(err)
	}
	for argument := range strings.SplitSeq(string(arguments), "\x00") {
		if url, found := strings.CutPrefix(argument, "--listen-client-urls="); found {
			return url
		}
	}
	t.Fatalf("no --listen-client-urls in %q", arguments)
	return ""
}

func TestUpRefuses(t *testing.T) {
	c := Start(t)
	busy, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, busyPort, _ := net.SplitHostPort(busy.Addr().String())
	_, clusterPort, _ := net.SplitHostPort(strings.TrimPrefix(c.Config().Host, "https://"))
	foreign := t.TempDir()
	if err := os.MkdirAll(filepath.Join(foreign, "pki", "precious"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "cluster")

	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"unknown flag", []string{"--nonsense"}, 2, "-nonsense"},
		{"argument", []string{"--dir", fresh, "more"}, 2, `unexpected argument "more"`},
		{"no folder", nil, 1, "--dir is missing"},
		{"no parent", []string{"--dir", filepath.Join(fresh, "deep")}, 1, "no such file or directory"},
		{"not a folder", []string{"--dir", file}, 1, "not a directory"},
		{"folder in use", []string{"--dir", c.Dir()}, 1, "is in use by another cluster (process " + strconv.Itoa(c.process.cmd.Process.Pid) + ")"},
		{"other files in the way", []string{"--dir", foreign}, 1, filepath.Join(foreign, "pki") + " exists and was not made by a cluster"},
		{"no port", []string{"--dir", fresh, "--port", "70000"}, 1, "--port 70000 is no port"},
		{"port in use", []string{"--dir", fresh, "--port", busyPort}, 1, "address already in use"},
		{"port of another cluster", []string{"--dir", fresh, "--port", clusterPort}, 1, "address already in use"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary(), append([]string{"up"}, test.args...)...)
			var stderr strings.Builder
			cmd.Stdout, cmd.Stderr = io.Discard, &stderr
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if said := stderr.String(); !strings.Contains(said, test.want) || strings.Count(said, "\n") != 1 {
				t.Errorf("it said %q, want one line with %q", said, test.want)
			}
		})
	}
	if left := list(t, fresh); left != nil {
		t.Errorf("refused clusters left %q", left)
	}
	if left := list(t, foreign); len(left) != 1 || list(t, filepath.Join(foreign, "pki", "precious")) == nil {
		t.Errorf("the folder with other files now has %q", left)
	}
	c.Kubectl(t, "get", "nodes")
}

// TestUpEndsWhileStarting: if a component cannot start, the start of the cluster fails, with the
// end of the component's log. A start that is interrupted ends like any other cluster.
func TestUpEndsWhileStarting(t *testing.T) {
	for _, test := range []struct {
		name, victim string
		code         int
		want         string
	}{
		{"component dies", "etcd.pid", 1, "etcd did not become healthy: signal: killed"},
		{"interrupted", "cluster.lock", 0, "stopping"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cluster")
			cmd := exec.CommandContext(t.Context(), binary(), "up", "--dir", dir)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			eventually.Succeeds(t, func() error {
				_, err := os.Stat(filepath.Join(dir, "etcd.pid"))
				return err
			})
			signal := syscall.SIGKILL
			if test.code == 0 {
				signal = syscall.SIGTERM
			}
			if err := syscall.Kill(readPID(t, filepath.Join(dir, test.victim)), signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.Contains(stderr.String(), test.want) {
				t.Errorf("it said %q, want %q", stderr.String(), test.want)
			}
			if left := list(t, dir); left != nil {
				t.Errorf("it left %q", left)
			}
		})
	}
}
