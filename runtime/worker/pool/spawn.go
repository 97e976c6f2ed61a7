package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// slot is a place for a worker: a shard, or a pod.
type slot struct {
	shard int
	pod   string // of an isolated worker
}

// spawn is a worker on its way.
type spawn struct {
	done chan struct{}
	err  error // set before done is closed
}

// spawnPatience bounds how long a worker may take until it serves.
const spawnPatience = 30 * time.Second

// spawn starts a worker for a slot, unless one is on its way. The lock must be held.
func (p *Pool) spawn(s slot) (*spawn, error) {
	if there := p.spawning[s]; there != nil {
		return there, nil
	}
	sp := &spawn{done: make(chan struct{})}
	err := p.begin(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, spawnPatience)
		defer cancel()
		sp.err = p.startWorker(ctx, s)
		p.mu.Lock()
		delete(p.spawning, s)
		p.mu.Unlock()
		close(sp.done)
	})
	if err != nil {
		return nil, err
	}
	p.spawning[s] = sp
	return sp, nil
}

// startWorker starts a worker process and waits until it serves.
func (p *Pool) startWorker(ctx context.Context, s slot) error {
	began := time.Now()
	dir, err := p.makeFolder(s)
	if err != nil {
		return fmt.Errorf("start a worker: %w", err)
	}
	process, err := p.launchWorker(ctx, dir)
	if err != nil {
		p.removeFolder(dir)
		return fmt.Errorf("start a worker: %w", err)
	}
	p.group(dir, process.pid)
	marks, err := readKey(dir)
	var w *remote
	if err == nil {
		w, err = p.connect(dir, s.info(p.cfg.Build), marks, process)
	}
	if err != nil {
		process.end()
		p.removeFolder(dir)
		return fmt.Errorf("start a worker: %w", err)
	}
	if err := w.inTouch(ctx); err != nil {
		return fmt.Errorf("start a worker: %w", errors.Join(err, process.kill()))
	}
	p.mu.Lock()
	draining := w.draining
	p.mu.Unlock()
	if draining {
		// Its guests would be drained before they are started, again and again.
		return fmt.Errorf("start a worker: process %d says that it is of another build", process.pid)
	}
	w.log.Info("a worker was started", zap.Int("shard", s.shard), zap.String("uid", s.pod), zap.Duration("took", time.Since(began)))
	return nil
}

// group puts a worker into its control group. One that cannot be has no bounds of its own, and works.
func (p *Pool) group(dir string, pid int) {
	if p.cfg.Groups == nil {
		return
	}
	if err := p.cfg.Groups.Add(filepath.Base(dir), pid); err != nil {
		p.cfg.Log.Warn("a worker has no control group of its own", zap.Int("worker", pid), zap.Error(err))
	}
}

// info is what the worker of the slot is for.
func (s slot) info(build string) wire.Info {
	return wire.Info{Build: build, Shard: s.shard, Isolated: s.pod != "", Pod: s.pod}
}

// makeFolder makes the folder of a new worker, and what lies beside it.
func (p *Pool) makeFolder(s slot) (string, error) {
	name := fmt.Sprintf("shard%d-", s.shard)
	if s.pod != "" {
		name = "pod-"
	}
	dir, err := os.MkdirTemp(p.cfg.Dir, name)
	if err != nil {
		return "", err
	}
	if err := note(dir, s.info(p.cfg.Build)); err != nil {
		return "", errors.Join(err, removeFolder(dir))
	}
	return dir, nil
}

// launchWorker starts the process, and waits until it is ready.
func (p *Pool) launchWorker(ctx context.Context, dir string) (*handle, error) {
	said, err := os.OpenFile(filepath.Join(dir, wire.LogFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer said.Close() //nolint:errcheck // the worker writes it
	ready, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close() //nolint:errcheck // it was only read
	argv := append(p.cfg.Command[1:len(p.cfg.Command):len(p.cfg.Command)], wire.DirFlag+dir, "--ready-fd=3")
	// Not CommandContext: it outlives this agent.
	cmd := exec.Command(p.cfg.Command[0], argv...) //nolint:noctx // see above
	cmd.Args[0] = p.cfg.Name
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = said, said, []*os.File{told}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = told.Close()
	if err != nil {
		return nil, err
	}
	process, err := adoptChild(cmd.Process)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, ready); err != nil {
		how := process.end()
		return nil, fmt.Errorf("process %d: %w (%s): %s", process.pid, err, how, lastWords(dir))
	}
	return process, nil
}

// adoptChild has a process waited for by its handle.
func adoptChild(child *os.Process) (*handle, error) {
	began, err := wire.StartTime(child.Pid)
	var h *handle
	if err == nil {
		h, err = openProcess(child.Pid, began)
	}
	if err != nil {
		_ = child.Kill()
		_, _ = child.Wait()
		return nil, err
	}
	return h, child.Release()
}

// awaitReady waits until the worker says so, or has ended.
func awaitReady(ctx context.Context, pipe *os.File) error {
	defer context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Unix(1, 0)) })()
	var said bytes.Buffer
	_, err := io.Copy(&said, io.LimitReader(pipe, int64(len(wire.ReadyWord))))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("it is not ready: %w", ctx.Err())
	case err != nil:
		return err
	case said.String() != wire.ReadyWord:
		return errors.New("it ended before it was ready")
	}
	return nil
}

// end ends a process that is of no use, unless it is just about to end, and says how it did.
func (h *handle) end() ending {
	defer h.close()
	impatient := time.AfterFunc(endPatience, func() { _ = h.kill() })
	defer impatient.Stop()
	how, err := h.wait(context.Background())
	if err != nil {
		_ = h.kill()
	}
	return how
}

const endPatience = 100 * time.Millisecond
