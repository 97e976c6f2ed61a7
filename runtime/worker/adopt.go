package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.uber.org/zap"
)

// adopt takes over the worker of a folder, or removes the folder if it has none. The error is of a worker that may go
// on with guests that nobody knows of.
func (p *Pool) adopt(ctx context.Context, dir string) error {
	log := p.cfg.Log.With(zap.String("folder", dir))
	process, err := findWorker(ctx, dir, log)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	w, err := p.connect(dir, process)
	if err != nil {
		process.close()
		return err
	}
	err = w.inTouch(ctx)
	var died *deathError
	switch {
	case err == nil:
		p.mu.Lock()
		runs, draining := w.users, w.draining
		p.mu.Unlock()
		w.log.Info("a worker was adopted", zap.Int("runs", runs), zap.Bool("draining", draining))
		return nil
	case errors.As(err, &died):
		log.Info("a worker has died since the last agent", zap.Error(err))
		return nil
	case errors.Is(err, errStale) || errors.Is(ctx.Err(), context.Canceled):
		return err
	}
	// Nobody could say what it runs, and the pods' containers are about to be started.
	w.log.Error("a worker does not answer; it is killed, with all guests", zap.Error(err))
	return errors.Join(process.kill(), w.buried(ctx))
}

// findWorker is the process of a folder. A folder without one is removed.
func findWorker(ctx context.Context, dir string, log *zap.Logger) (*handle, error) {
	for {
		held, err := claimFolder(dir)
		if err == nil {
			log.Info("the folder of a dead worker is removed", zap.String("folder", dir), zap.String("said", lastWords(dir)))
			if err := held.remove(); err != nil {
				log.Warn("the folder of a dead worker stays", zap.Error(err))
			}
			return nil, fs.ErrNotExist
		}
		if !errors.Is(err, errClaimed) {
			return nil, err
		}
		// It lives. It may have begun a moment ago, or be about to end.
		info, err := ReadInfo(dir)
		if err == nil && info.PID != 0 {
			h, err := openProcess(info.PID, info.StartTime)
			if !errors.Is(err, os.ErrProcessDone) {
				return h, err
			}
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return nil, fmt.Errorf("a process holds %s and does not say which: %w", dir, errors.Join(ctx.Err(), err))
		}
	}
}

// connect makes a worker one of the pool's. It owns the process from there on, unless there is an error.
func (p *Pool) connect(dir string, process *handle) (*remote, error) {
	info, err := ReadInfo(dir)
	if err != nil {
		return nil, err
	}
	w, err := newRemote(p, dir, info, process)
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
func (w *remote) buried(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callPatience)
	defer cancel()
	select {
	case <-w.dead:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it does not end: %w", ctx.Err())
	}
}
