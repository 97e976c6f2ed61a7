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

// Watcher tells followers that their file has changed. One serves any number of them. It may be
// used from any goroutine; Close ends it.
//
// It watches folders, not files, so that a reader that holds a file open learns of its removal.
type Watcher struct {
	events *fsnotify.Watcher
	ended  sync.WaitGroup

	// adding orders the adding and removing of watches. run never takes it, since fsnotify may wait
	// for run while it adds.
	adding sync.Mutex

	mu      sync.Mutex
	closed  bool
	folders map[string]map[*subscription]bool

	followers atomic.Int64
}

// subscription is how one follower learns of changes.
type subscription struct {
	path  string
	wrote chan struct{} // has room for one: something happened since it was last received
	ended chan struct{} // closed once the file was removed or the Watcher closed
}

// NewWatcher starts a Watcher. It takes one inotify instance of the kernel's.
func NewWatcher() (*Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watching container logs: %w", err)
	}
	w := &Watcher{events: events, folders: make(map[string]map[*subscription]bool)}
	w.ended.Go(w.run)
	return w, nil
}

// Close ends the watching and every follower that relies on it, each after it has shown what was
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

// run passes events on until the Watcher is closed.
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
			// Most likely the kernel's queue was full. Any file may have changed.
			w.wakeAll()
		}
	}
}

func (w *Watcher) pass(event fsnotify.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if event.Has(fsnotify.Remove) || event.Has(fsnotify.Rename) {
		for sub := range w.folders[event.Name] { // the folder itself was removed, and its watch with it
			w.drop(sub)
		}
	}
	// A rotation that is not complete has left the file that is written under the name of a rotated
	// one.
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
			// A removal may be among the events that were lost.
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
	default: // it has not received the last one yet, and will see all
	}
}

// drop ends a subscription from the Watcher's side. The mutex is held.
func (w *Watcher) drop(sub *subscription) {
	if subs := w.folders[filepath.Dir(sub.path)]; subs[sub] {
		delete(subs, sub)
		close(sub.ended)
	}
}

// subscribe begins to notify of changes of the file at path, which is clean and no link.
func (w *Watcher) subscribe(path string) (*subscription, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("following container log: %w", err)
	}
	sub := &subscription{path: path, wrote: make(chan struct{}, 1), ended: make(chan struct{})}
	folder := filepath.Dir(path)
	w.adding.Lock()
	defer w.adding.Unlock()
	// A folder may be added again. It must be, if it was removed and made again.
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

// pause returns how long a follower leaves its log alone now.
func (w *Watcher) pause() time.Duration { return pause(int(w.followers.Load())) }

// unsubscribe ends a subscription from the follower's side, and the folder's watch with its last
// one.
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
		_ = w.events.Remove(folder) // fails if the folder was removed, and its watch with it
	}
}
