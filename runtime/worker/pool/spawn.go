package pool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/krustlet-go/krustlet-wasi/runtime/worker/wire"
)

// spawnPatience bounds how long a worker may take until it serves.
const spawnPatience = 30 * time.Second

// spawn starts the worker of a slot. Its result goes to all callers that wait for the slot's spawn.
func (p *Pool) spawn(s slot) {
	err := p.tasks.start(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, spawnPatience)
		defer cancel()
		p.workers.spawned(s, p.startWorker(ctx, s))
	})
	if err != nil {
		p.workers.spawned(s, err)
	}
}

// startWorker starts a worker process and waits until it serves.
func (p *Pool) startWorker(ctx context.Context, s slot) error {
	began := time.Now()
	dir, err := p.folders.make(s)
	if err != nil {
		return fmt.Errorf("starting a worker: %w", err)
	}
	process, err := launch(ctx, p.cfg, dir)
	if err != nil {
		p.folders.remove(dir)
		return fmt.Errorf("starting a worker: %w", err)
	}
	p.folders.group(dir, process.pid)
	marks, err := readKey(dir)
	var w *worker
	if err == nil {
		w, err = p.connect(dir, s.info(p.cfg.Build), marks, process)
	}
	if err != nil {
		process.end()
		p.folders.remove(dir)
		return fmt.Errorf("starting a worker: %w", err)
	}
	if err := w.inTouch(ctx); err != nil {
		return fmt.Errorf("starting a worker: %w", errors.Join(err, process.kill()))
	}
	if _, draining := w.account.use(); draining {
		// It would take no guest, and the next start would make another worker of the same kind.
		return fmt.Errorf("start a worker: process %d says that it is of another build", process.pid)
	}
	w.log.Info("a worker was started", zap.Int("shard", s.shard), zap.String("uid", s.pod), zap.Duration("took", time.Since(began)))
	return nil
}

// launch starts a worker process, and waits until it is ready.
func launch(ctx context.Context, cfg Config, dir string) (*process, error) {
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
	args := append(cfg.Argv[1:len(cfg.Argv):len(cfg.Argv)], wire.DirFlag+dir, wire.ReadyFlag+"3")
	// This does not use CommandContext, because the process lives longer than this agent.
	cmd := exec.Command(cfg.Argv[0], args...) //nolint:noctx // see above
	cmd.Args[0] = cfg.Name
	cmd.Dir, cmd.Env = "/", []string{}
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = said, said, []*os.File{told} // file 3
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	_ = told.Close()
	if err != nil {
		return nil, err
	}
	process, err := openChild(cmd.Process)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, ready); err != nil {
		how := process.end()
		return nil, fmt.Errorf("process %d: %w (%s): %s", process.pid, err, how, lastWords(dir))
	}
	return process, nil
}

// openChild opens a child of this process. From then on only the result may wait for the child.
func openChild(child *os.Process) (*process, error) {
	began, err := wire.StartTime(child.Pid)
	var p *process
	if err == nil {
		p, err = openProcess(child.Pid, began)
	}
	if err != nil {
		_ = child.Kill()
		_, _ = child.Wait()
		return nil, err
	}
	return p, child.Release()
}

// awaitReady waits until the worker reports that it is ready, or has exited.
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
		return errors.New("it exited before it was ready")
	}
	return nil
}
