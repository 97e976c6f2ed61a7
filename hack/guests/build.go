package guests

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// builds has one build for each guest in this process, so that parallel tests share it.
var (
	buildsMu sync.Mutex
	builds   = map[string]*build{}
)

type build struct {
	once sync.Once
	path string
	err  error
	out  []byte
}

// earlier ends the name of a guest as earlier programs of the node can run it.
const earlier = "-earlier"

// Build compiles the guest from its Go source and returns the path of the .wasm file. Every test
// gets the same file with the same digest. Tests may not change it. With
// `-earlier` after its name, the guest calls no functions that earlier programs of the node lack.
func Build(t testing.TB, name string) string {
	t.Helper()
	return once(t, name, func(to string) *exec.Cmd {
		name, before := strings.CutSuffix(name, earlier)
		args := []string{"build", "-trimpath", "-buildvcs=false", "-o", to}
		if before {
			args = append(args, "-tags", "earlier")
		}
		cmd := exec.Command("go", append(args, "./"+name)...)
		cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
		return cmd
	})
}

// once has a command make a guest, once in this process, and returns its path.
func once(t testing.TB, name string, command func(to string) *exec.Cmd) string {
	t.Helper()
	buildsMu.Lock()
	b := builds[name]
	if b == nil {
		b = &build{}
		builds[name] = b
	}
	buildsMu.Unlock()
	b.once.Do(func() { b.path, b.out, b.err = run(name, command) })
	if b.err != nil {
		t.Fatalf("build guest %s: %v\n%s", name, b.err, b.out)
	}
	return b.path
}

// run has a command make a guest in a temporary folder, because other test processes build the same
// guest at the same time. The final name depends on the content, because another work tree may have
// another guest with the same name.
func run(name string, command func(to string) *exec.Cmd) (path string, out []byte, err error) {
	dir, err := folder("guests")
	if err != nil {
		return "", nil, err
	}
	tmp, err := os.MkdirTemp(dir, "new-")
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	file := filepath.Base(name) + ".wasm"
	cmd := command(filepath.Join(tmp, file))
	cmd.Dir = source()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", out, err
	}
	content, err := os.ReadFile(filepath.Join(tmp, file))
	if err != nil {
		return "", nil, err
	}
	path, err = keep(file, content)
	return path, nil, err
}

// keep writes a guest to a folder that its content names, and returns its path. The file appears
// whole.
func keep(name string, content []byte) (string, error) {
	dir, err := folder("guests")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	place := filepath.Join(dir, hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(place, 0o700); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(place, name+"-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(content)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return "", err
	}
	path := filepath.Join(place, name)
	return path, os.Rename(tmp.Name(), path)
}

// CacheDir is a folder for compiled code that outlives the test process. So a Go guest is compiled
// to machine code once on a machine, not once for each test binary.
func CacheDir(t testing.TB) string {
	t.Helper()
	dir, err := folder("compiled")
	if err != nil {
		t.Fatalf("folder for compiled guests: %v", err)
	}
	return dir
}

// Digest is the digest of the file at path, in the form of a Spec.
func Digest(t testing.TB, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("digest of a guest: %v", err)
	}
	sum := sha256.Sum256(content)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Tiny is a module that prints the line `tiny`. Without arguments it then sleeps for ever. With one
// argument it exits with code 0, with two with code 1, and so on. Its source is tiny.wat.
func Tiny(t testing.TB) []byte {
	t.Helper()
	return append([]byte(nil), tiny...)
}

//go:generate go test ../../runtime/wasmtime -run ^TestTinyIsCurrent$ -update

//go:embed tiny.wasm
var tiny []byte

// source is the folder of this file.
func source() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

func folder(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "krustlet-wasi-test", name)
	return dir, os.MkdirAll(dir, 0o700)
}
