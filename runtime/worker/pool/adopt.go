package pool

import (
	"context"
	"errors"
	"fmt"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// adoptAll takes over all workers that live, and removes what others left. First come those with a record, who
// alone can show that a run is theirs. Whatever it finds, it ends in a bounded time. The error is of the folder of all.
func (p *Pool) adoptAll(ctx context.Context) error {
	recorded := func(e fs.DirEntry) (string, bool) {
		name, ok := strings.CutSuffix(e.Name(), wire.RecordSuffix)
		return name, ok && name != "" && e.Type().IsRegular()
	}
	if err := p.adoptEach(ctx, recorded, p.adoptRecorded); err != nil {
		return err
	}
	// A folder without a record is of an earlier version's worker, or of none.
	other := func(e fs.DirEntry) (string, bool) {
		if !e.IsDir() {
			return "", false
		}
		var info unix.Stat_t
		err := unix.Lstat(filepath.Join(p.cfg.Dir, e.Name()+wire.RecordSuffix), &info)
		return e.Name(), err != nil || info.Mode&unix.S_IFMT != unix.S_IFREG
	}
	return p.adoptEach(ctx, other, p.adoptUnrecorded)
}

// How many folders are looked at together, and how many names are read at once.
const (
	adoptTogether = 256
	namesAtOnce   = 512
)

// adoptEach adopts what is chosen of the entries of the workers' folder, of which there may be very many.
func (p *Pool) adoptEach(ctx context.Context, chosen func(fs.DirEntry) (string, bool), adopt func(context.Context, string)) error {
	ctx, stop := context.WithTimeout(ctx, p.cfg.Patience)
	defer stop()
	all, err := os.Open(p.cfg.Dir)
	if err != nil {
		return err
	}
	defer all.Close() //nolint:errcheck // it was only read
	var adoptions sync.WaitGroup
	defer adoptions.Wait()
	places := make(chan struct{}, adoptTogether)
	for {
		entries, err := all.ReadDir(namesAtOnce)
		for _, e := range entries {
			name, ok := chosen(e)
			if !ok {
				continue
			}
			places <- struct{}{}
			adoptions.Go(func() {
				defer func() { <-places }()
				adopt(ctx, filepath.Join(p.cfg.Dir, name))
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

// adoptRecorded takes over the worker that holds the record, or removes what is left of it.
func (p *Pool) adoptRecorded(ctx context.Context, dir string) {
	record, err := wire.OpenRecord(dir)
	if err != nil {
		p.leaveAlone(dir, 0, err)
		return
	}
	defer record.Close() //nolint:errcheck // it was only read
	process, err := openHolder(record)
	switch {
	case errors.Is(err, errFree):
		p.clearAway(dir)
		return
	case err != nil:
		p.leaveAlone(dir, 0, err)
		return
	}
	info, err := wire.ParseInfo(record)
	if err != nil { // the disk is to blame: no worker can write it
		p.cfg.Log.Warn("what a worker is for cannot be read; it gets no new guests", zap.Error(err))
	}
	marks, err := readKey(dir)
	if err != nil {
		p.cfg.Log.Warn("whether a worker's runs are its own cannot be checked; it gets no new guests", zap.Error(err))
	}
	p.adopt(ctx, dir, info, marks, process)
}

// errFree says that no process holds a record.
var errFree = errors.New("no process holds it")

// openHolder opens the process that holds a record.
func openHolder(record *os.File) (*handle, error) {
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
			continue // it has just ended
		}
		// Looked at again: if it still holds the record, that is the process.
		if again, err := wire.Holder(record); err == nil && again == pid {
			return process, nil
		}
		process.close()
	}
	return nil, errors.New("its holders end one after the other")
}

// openNow opens the process that has the number now.
func openNow(pid int) (*handle, error) {
	began, err := wire.StartTime(pid)
	if err != nil {
		return nil, err
	}
	return openProcess(pid, began)
}

// adoptUnrecorded takes over the worker of a folder that an agent of an earlier version has made, or removes the folder if it has none.
// Only its process is known. It is another build's, and so gets no new guests.
func (p *Pool) adoptUnrecorded(ctx context.Context, dir string) {
	folder, err := wire.OpenFolder(dir)
	if err != nil {
		p.leaveAlone(dir, 0, err)
		return
	}
	defer folder.Close() //nolint:errcheck // it was only looked at
	for {
		err := wire.LockFolder(folder)
		if err == nil {
			p.clearAway(dir)
			return
		}
		// It lives. It may have begun a moment ago, or be about to end.
		pid, findErr := findUnrecorded(ctx, folder, dir)
		if findErr == nil {
			if process, err := openNow(pid); err == nil {
				p.adopt(ctx, dir, wire.Info{}, nil, process)
				return
			}
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			p.leaveAlone(dir, 0, errors.Join(err, findErr))
			return
		}
	}
}

// findUnrecorded is the process that holds the lock of a folder: as the kernel lists it, or else as its socket says.
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

// adopt takes over a worker, which becomes one of the pool's. One that does not say what it runs is ended, for its guests are about
// to be started anew.
func (p *Pool) adopt(ctx context.Context, dir string, info wire.Info, marks key, process *handle) {
	if !isWorker(process.pid, p.cfg.Command, dir) {
		process.close()
		p.leaveAlone(dir, process.pid, errors.New("it is no worker of this user and this data directory"))
		return
	}
	w, err := p.connect(dir, info, marks, process)
	if err != nil {
		p.cfg.Log.Error("a worker cannot be adopted; it is killed, with all guests", zap.Int("worker", process.pid), zap.Error(errors.Join(err, process.kill())))
		process.close()
		return
	}
	err = w.inTouch(ctx)
	var died *deathError
	switch {
	case err == nil:
		p.mu.Lock()
		runs, draining := w.users, w.draining
		p.mu.Unlock()
		w.log.Info("a worker was adopted", zap.Int("runs", runs), zap.Bool("draining", draining))
	case errors.As(err, &died):
		w.log.Info("a worker has died since the last agent", zap.Error(err))
	case errors.Is(ctx.Err(), context.Canceled): // the agent ends
	default:
		if unreached := w.unreached.Load(); unreached != nil {
			err = errors.Join(err, *unreached)
		}
		w.log.Error("a worker does not answer; it is killed, with all guests", zap.Error(err))
		p.abandon(w)
	}
}

// abandon ends a worker of which nobody can say what it runs.
func (p *Pool) abandon(w *remote) {
	p.drain(w)
	if err := errors.Join(w.process.kill(), w.buried()); err != nil {
		w.log.Error("a worker does not answer, and cannot be killed: end it, or its guests run beside those that take their place", zap.Error(err))
	}
}

// leaveAlone says that there is something that the agent cannot tell what it is.
func (p *Pool) leaveAlone(dir string, pid int, why error) {
	if errors.Is(why, fs.ErrNotExist) {
		return // it has gone meanwhile
	}
	p.cfg.Log.Warn("a worker's folder is left as it is: end the process that holds it, and remove it",
		zap.String("folder", dir), zap.Int("process", pid), zap.Error(why))
}

// clearAway removes what a worker left that has ended. That may be much, and the agent does not wait for it.
func (p *Pool) clearAway(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.begin(func(context.Context) { // where the pool is closed, the next agent does it
		p.clearing.Lock() // one by one: a folder may take many open files
		defer p.clearing.Unlock()
		p.cfg.Log.Info("the folder of a dead worker is removed", zap.String("folder", dir), zap.String("said", lastWords(dir)))
		p.removeFolder(dir)
	})
}

// connect makes a worker one of the pool's. It owns the process from there on, unless there is an error.
func (p *Pool) connect(dir string, info wire.Info, marks key, process *handle) (*remote, error) {
	info.PID, info.StartTime = process.pid, process.began
	w, err := newRemote(p, dir, info, marks, process)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.begin(w.run); err != nil {
		return nil, errors.Join(err, w.conn.Close())
	}
	p.workers[w] = struct{}{}
	return w, nil
}

// inTouch waits until it is known what the worker runs.
func (w *remote) inTouch(ctx context.Context) error {
	_, err := w.link.current(ctx, 0)
	return err
}

// buried waits until the worker is dead and what belonged to it is gone.
func (w *remote) buried() error {
	select {
	case <-w.dead:
		return nil
	case <-time.After(callPatience):
		return fmt.Errorf("process %d does not end within %v", w.info.PID, callPatience)
	}
}
