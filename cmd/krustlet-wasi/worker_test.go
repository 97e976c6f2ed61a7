package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/config"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/confine"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// asConfined names a variable. With it, this program confines itself as a worker does, and reports
// what it can still do.
const asConfined = "KRUSTLET_WASI_TEST_CONFINED"

// confined is the input of such a process.
type confined struct {
	DataDir, Dir string
	Info         wire.Info
	Hidden       []string
	Files        []string // below DataDir
}

// reached is the output of such a process.
type reached struct {
	Lost []string
	Can  map[string]string // by file: r, w, l (lock), n (make another beside it), d (remove), c (change its mode)
}

func confinedMain() int {
	var what confined
	if err := json.NewDecoder(os.Stdin).Decode(&what); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	c := workerConfig{
		dataDir: what.DataDir, logsDir: filepath.Join(what.DataDir, "logs"), dir: what.Dir,
		hidden: what.Hidden,
	}
	config, err := c.confinement(what.Info)
	said := reached{Can: map[string]string{}}
	if err == nil {
		said.Lost, err = confine.Apply(config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 4
	}
	for _, name := range what.Files {
		said.Can[name] = whatCanBeDone(filepath.Join(what.DataDir, name))
	}
	if json.NewEncoder(os.Stdout).Encode(said) != nil {
		return 5
	}
	return 0
}

func whatCanBeDone(path string) (can string) {
	if _, err := os.ReadFile(path); err == nil {
		can += "r"
	}
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		can += "w"
		_ = f.Close()
	}
	for _, flags := range []int{os.O_RDONLY, os.O_WRONLY} {
		if f, err := os.OpenFile(path, flags, 0); err == nil {
			if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && !strings.Contains(can, "l") {
				can += "l"
			}
			_ = f.Close()
		}
	}
	if os.WriteFile(path+".new", nil, 0o600) == nil || os.Symlink("/", path+".link") == nil || os.Mkdir(path+".folder", 0o700) == nil {
		can += "n"
	}
	if os.Chmod(path, 0) == nil {
		can += "c"
	}
	if err := os.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
		can += "d"
	}
	return can
}

// TestWorkersSeeTheirOwn: a process that is confined as a worker reports what it can do with the
// files of a data directory. It has its own folder. It cannot open the files of the agent or of
// other workers. An isolated worker has only its own pod's files.
// docs/security.md: "cannot open the agent's files or another worker's"
// docs/security.md: "Workers cannot open it."
// docs/security.md: "but it has the other guests of its worker, and the volumes and logs of the
// node's pods (of its own pod, where that is isolated)"
// docs/security.md: "A folder for each worker, which only this worker can open, and the agent's
// notes about workers, which no worker can open."
func TestWorkersSeeTheirOwn(t *testing.T) {
	const all, read, none = "rwlnd", "rl", ""
	files := []struct{ name, shared, isolated string }{
		{"workers/shard0-1/log", all, all},
		{"workers/shard0-1.json", none, none},
		{"workers/shard0-1.key", none, none},
		{"workers/shard0-2/log", none, none},
		{"workers/shard0-2/socket", none, none},
		{"workers/shard0-2.json", none, none},
		{"workers/shard0-2.key", none, none},
		{"config/kubeconfig", none, none},
		{"config/docker/config.json", none, none},
		{"modules/blobs/module", read, read},
		{"modules/compiled/48/code.cwasm", read, read},
		{"krustlet-wasi.lock", none, none},
		{"what-comes/later", none, none},
		{"notes/mine/runs/main.json", none, none}, // has values of Secrets
		{"pods/mine/volumes/file", all, all},
		{"pods/theirs/volumes/file", all, none}, // a shared worker has the volumes of all pods: docs/security.md
		{"logs/ns_name_mine/main/0.log", all, all},
		{"logs/ns_name_theirs/main/0.log", all, none},
		{"logs/ns_name_not-mine/main/0.log", all, none},
	}
	for _, isolated := range []bool{false, true} {
		t.Run(fmt.Sprint("isolated=", isolated), func(t *testing.T) {
			what := confined{DataDir: t.TempDir(), Info: wire.Info{Build: "b1", Isolated: isolated}}
			what.Dir, what.Hidden = filepath.Join(what.DataDir, "workers", "shard0-1"), []string{filepath.Join(what.DataDir, "config")}
			if isolated {
				what.Info.Pod = "mine"
			}
			want := map[string]string{}
			for _, f := range files {
				path := filepath.Join(what.DataDir, f.name)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("text"), 0o600)); err != nil {
					t.Fatal(err)
				}
				what.Files = append(what.Files, f.name)
				if want[f.name] = f.shared; isolated {
					want[f.name] = f.isolated
				}
			}
			said := asWorker(t, what)
			for name, can := range said.Can {
				if can != want[name] {
					t.Errorf("%s: a worker can %q, and not %q", name, can, want[name])
				}
			}
		})
	}
}

// TestWorkersHaveNoCredentials: a worker can do nothing with a file in which the agent may have a
// credential, in any folder.
// docs/security.md: "without credentials"
// docs/security.md: "cannot open the agent's files"
// docs/security.md: "Workers see neither this file nor any other in which the agent looks for
// credentials.", "it is hidden, too."
func TestWorkersHaveNoCredentials(t *testing.T) {
	top := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{top}, parts...)...) }
	cfg := config.Config{
		DataDir: at("data"), PodLogsDir: at("data", "logs"), Kubeconfig: at("kube", "config"), BootstrapFile: at("boot", "strap.conf"),
		CertFile: at("tls", "node.crt"), PrivateKeyFile: at("tls", "node.key"), RegistryConfigDir: at("certs.d"),
		CredentialProviderConfig: at("plugins", "config.yaml"),
	}
	env := map[string]string{"HOME": at("home"), "DOCKER_CONFIG": at("docker"), "REGISTRY_AUTH_FILE": at("auth", "file"), "XDG_RUNTIME_DIR": at("xdg"), "XDG_CONFIG_HOME": at("xdg-config")}
	what := confined{
		DataDir: cfg.DataDir, Dir: at("data", "workers", "shard0-1"), Info: wire.Info{Build: "b1"},
		Hidden: workerConfigOf(cfg, func(name string) (string, bool) { value, ok := env[name]; return value, ok }).hidden,
	}
	for _, file := range []string{
		cfg.Kubeconfig, cfg.BootstrapFile, cfg.CertFile, cfg.PrivateKeyFile, cfg.CredentialProviderConfig,
		at("certs.d", "registry.example", "client.key"), at("home", ".docker", "config.json"), at("docker", "config.json"),
		at("auth", "file"), at("xdg", "containers", "auth.json"), at("xdg-config", "containers", "auth.json"), at("home", ".config", "containers", "auth.json"),
		at("data", "config", "kubeconfig"), at("data", "config", "krustlet.key"),
		at("data", "config", "kubeconfig.pending"), at("data", "config", "krustlet.key.pending"), at("data", "config", "bootstrap.conf"),
		at("data", "config", "docker", "config.json"), at("data", "config", "image-rights", "image"), at("data", "notes", "uid", "runs", "main.json"),
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("secret"), 0o600)); err != nil {
			t.Fatal(err)
		}
		name, err := filepath.Rel(cfg.DataDir, file)
		if err != nil {
			t.Fatal(err)
		}
		what.Files = append(what.Files, name)
	}
	for _, dir := range []string{what.Dir, cfg.PodLogsDir, at("data", "pods"), at("data", "modules")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, can := range asWorker(t, what).Can {
		if can != "" {
			t.Errorf("%s: a worker can %q", name, can)
		}
	}
}

// asWorker starts such a process and returns its output.
func asWorker(t *testing.T, what confined) (said reached) {
	t.Helper()
	task, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{asConfined + "=1"}
	cmd.Stdin, cmd.Stderr = bytes.NewReader(task), os.Stderr
	out, err := cmd.Output()
	if err := errors.Join(err, json.Unmarshal(out, &said)); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if lost := strings.Join(said.Lost, "; "); strings.Contains(lost, "files:") || strings.Contains(lost, "system calls:") {
		t.Fatalf("this kernel cannot confine a worker, so nothing is proven here: %s", lost)
	}
	return said
}
