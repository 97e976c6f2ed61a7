package pool

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// folders makes and removes the folders of workers, the files beside them, and the workers' control
// groups.
type folders struct {
	cfg   Config
	tasks *tasks

	clearing sync.Mutex // held while a found folder is removed
}

// make makes the folder of a new worker, its record and its key.
func (f *folders) make(s slot) (string, error) {
	name := fmt.Sprintf("shard%d-", s.shard)
	if s.pod != "" {
		name = "pod-"
	}
	dir, err := os.MkdirTemp(f.cfg.Dir, name)
	if err != nil {
		return "", err
	}
	if err := note(dir, s.info(f.cfg.Build)); err != nil {
		return "", errors.Join(err, removeFolder(dir))
	}
	return dir, nil
}

// group puts a worker into its control group. Without one, the worker works but has no limits of
// its own.
func (f *folders) group(dir string, pid int) {
	if f.cfg.Groups == nil {
		return
	}
	if err := f.cfg.Groups.Add(filepath.Base(dir), pid); err != nil {
		f.cfg.Log.Warn("a worker has no control group of its own", zap.Int("worker", pid), zap.Error(err))
	}
}

// outOfMemory reports whether the kernel has killed a worker because of too little memory.
func (f *folders) outOfMemory(dir string, how ending) bool {
	return how.signal == syscall.SIGKILL && f.cfg.Groups != nil && f.cfg.Groups.OutOfMemory(filepath.Base(dir))
}

// remove removes the folder of a worker that has exited, and its control group.
func (f *folders) remove(dir string) {
	if f.cfg.Groups != nil {
		if err := f.cfg.Groups.Remove(filepath.Base(dir)); err != nil {
			f.cfg.Log.Warn("the control group of a worker that has exited stays", zap.Error(err))
		}
	}
	if err := removeFolder(dir); err != nil {
		f.cfg.Log.Warn("the folder of a worker that has exited stays", zap.Error(err))
	}
}

// clear removes the folder of a worker that exited earlier. The folder may be large, and the caller
// does not wait for the removal.
func (f *folders) clear(dir string) {
	_ = f.tasks.start(func(context.Context) { // if the pool is closed, the next agent does this
		f.clearing.Lock() // one after the other, because each may need many open files
		defer f.clearing.Unlock()
		f.cfg.Log.Info("the folder of a worker that has exited is removed", zap.String("folder", dir), zap.String("said", lastWords(dir)))
		f.remove(dir)
	})
}

// leave logs that the agent cannot find out what a folder is.
func (f *folders) leave(dir string, pid int, why error) {
	if errors.Is(why, fs.ErrNotExist) {
		return // it was removed in the meantime
	}
	f.cfg.Log.Warn("a worker's folder is left as it is: end the process that holds it, and remove it",
		zap.String("folder", dir), zap.Int("process", pid), zap.Error(why))
}

// removeFolder removes a worker's folder, and then the files beside it.
func removeFolder(dir string) error {
	if err := filetree.Remove(context.Background(), dir); err != nil {
		return err
	}
	var errs []error
	for _, suffix := range []string{wire.KeySuffix, wire.RecordSuffix} {
		if err := os.Remove(dir + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// note makes the record of a new worker, and the key for the marks of its runs.
func note(dir string, info wire.Info) error {
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return errors.Join(create(dir+wire.KeySuffix, key), create(dir+wire.RecordSuffix, append(text, '\n')))
}

func create(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
