package logfile

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watcher notifies followers when their file changes. One Watcher serves any number of followers.
// It may be used from any goroutine; Close ends it.
//
// It watches folders, not files, so that a reader with an open file learns when the file is
// removed.
type Watcher struct {
	events *fsnotify.Watcher
	ended  sync.WaitGroup

	// adding serialises the adding and removing of watches. run never locks it, because fsnotify
	// may wait for run while it adds a watch.
	adding sync.Mutex

	mu      sync.Mutex
	closed  bool
	folders map[string]map[*subscription]bool

	followers atomic.Int64
}

// subscription notifies one follower of changes.
type subscription struct {
	path  string
	wrote chan struct{} // holds one value: the file has changed since the last receive
	ended chan struct{} // closed after the file was removed or the Watcher was closed
}

// NewWatcher starts a Watcher. It uses one of the kernel's inotify instances.
func NewWatcher() (*Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching container logs: %w", err)
	}
	w := &Watcher{events: events, folders: make(map[string]map[*subscription]bool)}
	w.ended.Go(w.run)
	return w, nil
}

// Close ends the Watcher and all its followers. Each follower first shows the text that was
// written.
func (w *Watcher) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	err := w.events.Close()
	w.ended.Wait()
	if err != nil {
		return fmt.Errorf("ending watching container logs: %w", err)
	}
	return nil
}

// run handles events until the Watcher is closed.
func (w *Watcher) run() {
	defer w.end()
	for {
		select {
		case event, ok := <-w.events.Events:
			if !ok {
				return
			}
			w.pass(event)
		case _, ok := <-w.events.Errors:
			if !ok {
				return
			}
			// Most likely the kernel's queue was full. Then any file may have changed.
			w.wakeAll()
		}
	}
}

func (w *Watcher) pass(event fsnotify.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
		for sub := range w.folders[event.Name] { // the folder itself was removed, and with it its watch
			w.drop(sub)
		}
	}
	// After an incomplete rotation, the file that is still written has the name of a rotated one.
	log := Of(event.Name)
	for sub := range w.folders[filepath.Dir(event.Name)] {
		if sub.path != log {
			continue
		}
		if event.Has(fsnotify.Remove) && event.Name == sub.path {
			w.drop(sub)
			continue
		}
		sub.wake()
	}
}

func (w *Watcher) wakeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, subs := range w.folders {
		for sub := range subs {
			// One of the lost events may have been a removal.
			if files, err := Files(sub.path); err == nil && len(files) == 0 {
				w.drop(sub)
				continue
			}
			sub.wake()
		}
	}
}

// end ends the subscription of every follower.
func (w *Watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, subs := range w.folders {
		for sub := range subs {
			w.drop(sub)
		}
	}
}

func (sub *subscription) wake() {
	select {
	case sub.wrote <- struct{}{}:
	default: // it has not received the last value yet, and will see everything
	}
}

// drop ends a subscription on the Watcher's side. The caller holds the mutex.
func (w *Watcher) drop(sub *subscription) {
	if subs := w.folders[filepath.Dir(sub.path)]; subs[sub] {
		delete(subs, sub)
		close(sub.ended)
	}
}

// subscribe starts notifications about changes of the file at path, which is clean and no link.
func (w *Watcher) subscribe(path string) (*subscription, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("following container log: %w", err)
	}
	sub := &subscription{path: path, wrote: make(chan struct{}, 1), ended: make(chan struct{})}
	folder := filepath.Dir(path)
	w.adding.Lock()
	defer w.adding.Unlock()
	// A folder may be added twice. This is necessary if the folder was removed and made again.
	if err := w.events.Add(folder); err != nil {
		return nil, fmt.Errorf("following container log: watching %s: %w", folder, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, fmt.Errorf("following container log: %w", os.ErrClosed)
	}
	if w.folders[folder] == nil {
		w.folders[folder] = make(map[*subscription]bool)
	}
	w.folders[folder][sub] = true
	w.followers.Add(1)
	return sub, nil
}

// pause returns how long a follower must wait after reading its log.
func (w *Watcher) pause() time.Duration { return pause(int(w.followers.Load())) }

// unsubscribe ends a subscription on the follower's side. With the folder's last subscription it
// also ends the folder's watch.
func (w *Watcher) unsubscribe(sub *subscription) {
	folder := filepath.Dir(sub.path)
	w.followers.Add(-1)
	w.adding.Lock()
	defer w.adding.Unlock()
	w.mu.Lock()
	delete(w.folders[folder], sub)
	last := len(w.folders[folder]) == 0
	if last {
		delete(w.folders, folder)
	}
	w.mu.Unlock()
	if last {
		_ = w.events.Remove(folder) // fails if the folder was removed, and with it its watch
	}
}
