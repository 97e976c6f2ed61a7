package pool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// adopter takes over the workers of earlier agents.
type adopter struct{ pool *Pool }

// adoptAll takes over all running workers, and removes what others left. Workers with a record come
// first, because only they can prove that a run is theirs. It returns within a bounded time. An
// error is one of the folder of all workers.
func (a *adopter) adoptAll(ctx context.Context) error {
	recorded := func(e fs.DirEntry) (string, bool) {
		name, ok := strings.CutSuffix(e.Name(), wire.RecordSuffix)
		return name, ok && name != "" && e.Type().IsRegular()
	}
	if err := a.adoptEach(ctx, recorded, a.adoptRecorded); err != nil {
		return err
	}
	// A folder without a record belongs to a worker of an earlier version, or to no worker.
	other := func(e fs.DirEntry) (string, bool) {
		if !e.IsDir() {
			return "", false
		}
		var info unix.Stat_t
		err := unix.Lstat(filepath.Join(a.pool.cfg.Dir, e.Name()+wire.RecordSuffix), &info)
		return e.Name(), err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG
	}
	return a.adoptEach(ctx, other, a.adoptUnrecorded)
}

// How many folders are handled at the same time, and how many names are read at once.
const (
	adoptTogether = 256
	namesAtOnce   = 512
)

// adoptEach adopts the chosen entries of the workers' folder. The folder may have very many
// entries.
func (a *adopter) adoptEach(ctx context.Context, chosen func(fs.DirEntry) (string, bool), adopt func(context.Context, string)) error {
	ctx, stop := context.WithTimeout(ctx, a.pool.cfg.Patience)
	defer stop()
	all, err := os.Open(a.pool.cfg.Dir)
	if err != nil {
		return err
	}
	defer all.Close() //nolint:errcheck // it was only read
	var adoptions sync.WaitGroup
	defer adoptions.Wait()
	tokens := make(chan struct{}, adoptTogether)
	for {
		entries, err := all.ReadDir(namesAtOnce)
		for _, e := range entries {
			name, ok := chosen(e)
			if !ok {
				continue
			}
			tokens <- struct{}{}
			adoptions.Go(func() {
				defer func() { <-tokens }()
				adopt(ctx, filepath.Join(a.pool.cfg.Dir, name))
			})
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// adoptRecorded takes over the worker that holds the record, or removes the files of one that has
// exited.
func (a *adopter) adoptRecorded(ctx context.Context, dir string) {
	folders := a.pool.folders
	record, err := wire.OpenRecord(dir)
	if err != nil {
		folders.leave(dir, 0, err)
		return
	}
	defer record.Close() //nolint:errcheck // it was only read
	process, err := openHolder(record)
	switch {
	case errors.Is(err, errFree):
		folders.clear(dir)
		return
	case err != nil:
		folders.leave(dir, 0, err)
		return
	}
	info, err := wire.ParseInfo(record)
	if err != nil { // this is an error of the disk, because workers cannot write the record
		a.pool.cfg.Log.Warn("the record of a worker cannot be read; it gets no new guests", zap.Error(err))
	}
	marks, err := readKey(dir)
	if err != nil {
		a.pool.cfg.Log.Warn("whether a worker's runs are its own cannot be checked; it gets no new guests", zap.Error(err))
	}
	a.adopt(ctx, dir, info, marks, process)
}

// errFree means that no process holds the record.
var errFree = errors.New("no process holds it")

// openHolder opens the process that holds a record.
func openHolder(record *os.File) (*process, error) {
	for range attempts {
		pid, err := wire.Holder(record)
		if err != nil {
			return nil, err
		}
		if pid == 0 {
			return nil, errFree
		}
		process, err := openNow(pid)
		if err != nil {
			continue // it has just exited
		}
		// If the same number still holds the record, the opened process is its holder.
		if again, err := wire.Holder(record); err == nil && again == pid {
			return process, nil
		}
		process.close()
	}
	return nil, errors.New("its holders exit one after the other")
}

// adoptUnrecorded takes over the worker of a folder that an agent of an earlier version has made.
// If there is no worker, it removes the folder. Only the worker's process is known. The worker is
// of another build, so it gets no new runs.
func (a *adopter) adoptUnrecorded(ctx context.Context, dir string) {
	folders := a.pool.folders
	folder, err := wire.OpenFolder(dir)
	if err != nil {
		folders.leave(dir, 0, err)
		return
	}
	defer folder.Close() //nolint:errcheck // it was opened only for its lock
	for {
		err := wire.LockFolder(folder)
		if err == nil {
			folders.clear(dir)
			return
		}
		// The worker runs. It may just have started, or may be about to exit.
		pid, findErr := findUnrecorded(ctx, folder, dir)
		if findErr == nil {
			if process, err := openNow(pid); err == nil {
				a.adopt(ctx, dir, wire.Info{}, nil, process)
				return
			}
		}
		if pause.For(ctx, 10*time.Millisecond) != nil {
			folders.leave(dir, 0, errors.Join(err, findErr))
			return
		}
	}
}

// findUnrecorded finds the process that holds the lock of a folder, in the kernel's list of locks
// or through the socket.
func findUnrecorded(ctx context.Context, folder *os.File, dir string) (int, error) {
	if pid, err := lockerOf(folder); err == nil && pid != 0 {
		return pid, nil
	}
	conn, pid, err := dialSocket(ctx, dir)
	if err != nil {
		return 0, err
	}
	return pid, conn.Close()
}

// adopt takes a worker into the pool. It kills a worker that does not list its runs, because the
// pods of that worker will be started again.
func (a *adopter) adopt(ctx context.Context, dir string, info wire.Info, marks key, process *process) {
	log := a.pool.cfg.Log
	if !isWorker(process.pid, a.pool.cfg.Argv, dir) {
		process.close()
		a.pool.folders.leave(dir, process.pid, errors.New("it is no worker of this user and this data directory"))
		return
	}
	w, err := a.pool.connect(dir, info, marks, process)
	if err != nil {
		err = errors.Join(err, process.kill())
		log.Error("a worker cannot be adopted; it is killed, with all guests", zap.Int("worker", process.pid), zap.Error(err))
		process.close()
		return
	}
	err = w.inTouch(ctx)
	var exited *exitError
	switch {
	case err == nil:
		runs, draining := w.account.use()
		w.log.Info("a worker was adopted", zap.Int("runs", runs), zap.Bool("draining", draining))
	case errors.As(err, &exited):
		w.log.Info("a worker has exited since the last agent", zap.Error(err))
	case errors.Is(ctx.Err(), context.Canceled): // the agent ends
	default:
		if unreached := w.unreached.Load(); unreached != nil {
			err = errors.Join(err, *unreached)
		}
		w.log.Error("a worker does not answer; it is killed, with all guests", zap.Error(err))
		w.abandon()
	}
}

// abandon kills a worker whose runs the agent cannot find out.
func (w *worker) abandon() {
	w.account.drain()
	if err := errors.Join(w.process.kill(), w.awaitExit()); err != nil {
		w.log.Error("a worker does not answer, and cannot be killed: end it, or its guests run beside those that take their place", zap.Error(err))
	}
}

// awaitExit waits until the worker has exited and its files were removed.
func (w *worker) awaitExit() error {
	select {
	case <-w.exited:
		return nil
	case <-time.After(callPatience):
		return fmt.Errorf("process %d does not exit within %v", w.info.PID, callPatience)
	}
}
