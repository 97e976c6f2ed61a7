package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
)

// docs/security.md: "the directory itself | 0700"
func TestPrepareDataDir(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	lock, err := prepareDataDir(dir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer lock.release()
	for _, path := range []string{dir, filepath.Dir(dir), filepath.Join(dir, "krustlet-wasi.lock")} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s, want it for the owner only", path, info.Mode())
		}
	}
}

func TestDataDirHasOneAgent(t *testing.T) {
	dir := t.TempDir()
	first, err := prepareDataDir(dir, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	_, err = prepareDataDir(dir, zap.NewNop())
	if !errors.Is(err, errDataDirInUse) {
		t.Fatalf("the second agent gets %v", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("process %d;", os.Getpid()), "--data-dir"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not contain %q", err, want)
		}
	}
	if code := exit.CodeOf(err); code != exit.Failure {
		t.Errorf("exit code %d, want %d", code, exit.Failure)
	}
	first.release()
	third, err := prepareDataDir(dir, zap.NewNop())
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	third.release()
}

func TestLockFileWithoutHolder(t *testing.T) {
	for _, content := range []string{"", "4711\n", "not a number", strings.Repeat("9", 100)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "krustlet-wasi.lock"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		lock, err := lockDataDir(dir)
		if err != nil {
			t.Errorf("a lock file of %q without a holder: %v", content, err)
			continue
		}
		lock.release()
	}
}

// TestLockGoesWithTheProcess kills an agent that holds the directory. Then another agent can take
// it.
func TestLockGoesWithTheProcess(t *testing.T) {
	dir := t.TempDir()
	p := startProgram(t, "wait", "--data-dir="+dir)
	p.awaitReady(t)
	_, err := lockDataDir(dir)
	if want := fmt.Sprintf("process %d;", p.cmd.Process.Pid); !errors.Is(err, errDataDirInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("while the agent runs: %v", err)
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait() // the error says that it was killed
	lock, err := lockDataDir(dir)
	if err != nil {
		t.Fatalf("after the agent was killed: %v", err)
	}
	lock.release()
}

func TestUnusableDataDir(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	linked := filepath.Join(base, "linked")
	if err := os.Mkdir(linked, 0o700); err != nil {
		t.Fatal(err)
	}
	// If the lock file were a link, the agent would truncate another file.
	if err := os.Symlink(file, filepath.Join(linked, "krustlet-wasi.lock")); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/krustlet", linked} {
		_, err := prepareDataDir(dir, zap.NewNop())
		if code := exit.CodeOf(err); err == nil || code != exit.Usage || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("%s: exit code %d, %v", dir, code, err)
		}
	}
}

// docs/security.md: "A warning is logged if others may write there: they could take over the node."
func TestDataDirWritableByOthers(t *testing.T) {
	for mode, want := range map[os.FileMode]int{0o700: 0, 0o755: 0, 0o775: 1, 0o777: 1} {
		dir := t.TempDir()
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zapcore.WarnLevel)
		lock, err := prepareDataDir(dir, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		lock.release()
		if got := logs.Len(); got != want {
			t.Errorf("mode %o: %d warnings, want %d", mode, got, want)
		}
	}
}

// readLine returns the next line, without its end.
func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}
