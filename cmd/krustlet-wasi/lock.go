package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/flock"
)

// errDataDirInUse says that another agent has the data directory.
var errDataDirInUse = errors.New("the data directory is in use")

// dataDirLock prevents other agents from using a data directory, until it is released or the
// process exits.
type dataDirLock struct{ file *os.File }

// prepareDataDir makes the data directory for its owner only, and locks it. If the directory is
// unusable, the user must change something (exit.Usage). errDataDirInUse is not such an error.
func prepareDataDir(dir string, log *zap.Logger) (*dataDirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, exit.BadUsage(fmt.Errorf("making the data directory: %w; set --data-dir", err))
	}
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o022 != 0 {
		// The agent keeps keys there, and compiled code that it later reads and runs.
		log.Warn("others may write to the data directory, and so take over this node; run chmod go-w on it",
			zap.String("dataDir", dir), zap.Stringer("mode", info.Mode()))
	}
	return lockDataDir(dir)
}

// lockDataDir takes the lock or fails at once. When the process exits, the kernel releases the
// lock. Children do not inherit it. So the file itself can stay: its existence means nothing.
func lockDataDir(dir string) (*dataDirLock, error) {
	path := filepath.Join(dir, "krustlet-wasi.lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, exit.BadUsage(fmt.Errorf("writing to the data directory: %w; set --data-dir", err))
	}
	if err := flock.TryExclusive(file); err != nil {
		holder := readHolder(file)
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is held by another krustlet-wasi%s; stop it or set --data-dir", errDataDirInUse, dir, holder)
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if err := writeHolder(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("writing the data directory's lock: %w", err)
	}
	return &dataDirLock{file: file}, nil
}

// writeHolder writes the process id, for the error message of the next agent.
func writeHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readHolder names the process in the lock file. The file is still empty between the lock and the
// write.
func readHolder(file *os.File) string {
	data, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(", process %d", pid)
}

// release unlocks the data directory.
func (l *dataDirLock) release() {
	// An old process id would mislead a reader. If this call or the next one fails, there is no
	// harm: the next holder writes its own id, and the kernel releases the lock when the process
	// exits.
	_ = l.file.Truncate(0)
	_ = l.file.Close()
}
