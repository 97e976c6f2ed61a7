package logfile

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// maxOverrun is by how many bytes a file may exceed its limit so that a long line stays in one
// file. The file never becomes more than twice as large as its limit. A longer line is cut.
const maxOverrun = 1 << 20

// retryAfter is the time after which a failed rotation is tried again.
const retryAfter = time.Second

// Rotation bounds how much disk a log takes. The zero value sets no bound.
type Rotation struct {
	// MaxSize is the size of a file, in bytes, above which a new one is begun; 0 means never.
	MaxSize int64
	// MaxFiles bounds the number of files, with the current one; 0 means 1. The oldest are removed
	// first.
	MaxFiles int
	// Failed, unless nil, is called when a rotation fails. After that it is not called again until
	// a rotation has succeeded. It is called within a guest's write, so it must not wait and must
	// not use the Writer.
	Failed func(error)
}

// rotation is the state of a Writer's rotation.
type rotation struct {
	Rotation
	path    string
	failing bool
	retry   time.Time // no attempt is made before this time
}

// makeRoom begins a new file if the batch does not fit into the current one. whole means that the
// batch continues no line. If the rotation fails, it calls Failed, and the batch goes into the
// current file.
func (w *Writer) makeRoom(whole bool) {
	over := w.size + int64(len(w.batch)) - w.rot.MaxSize
	switch {
	case w.rot.MaxSize <= 0 || over <= 0 || w.size == 0:
		return
	case w.torn: // the batch first ends the torn line
		return
	case !whole && over <= min(maxOverrun, w.rot.MaxSize):
		return
	}
	now := time.Now()
	if now.Before(w.rot.retry) {
		return
	}
	err := w.rotate(now)
	if w.size > 0 {
		w.rot.retry = now.Add(retryAfter)
	}
	w.rot.tell(err)
}

// tell notes the result of a rotation, and calls Failed for the first of several failures.
func (r *rotation) tell(err error) {
	if err != nil && !r.failing && r.Failed != nil {
		r.Failed(fmt.Errorf("rotating container log: %w", err))
	}
	r.failing = err != nil
}

// rotate begins a new file. It makes the new file first, because that may fail. Between the two
// renames there is no file at path. If the process exits there, no part of the log is lost, and the
// next Writer makes the file.
func (w *Writer) rotate(now time.Time) error {
	path := w.rot.path
	existing, err := rotated(path)
	if err != nil {
		return err
	}
	next, err := os.OpenFile(path+newSuffix, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_RDWR, fileMode)
	if err != nil {
		return err
	}
	// There is no file to rename after a rotation that failed in between, or if a user has removed
	// the file.
	err = os.Rename(path, nextRotated(path, existing, now))
	if err == nil || errors.Is(err, os.ErrNotExist) {
		err = os.Rename(path+newSuffix, path)
	}
	if err != nil {
		return errors.Join(err, next.Close(), os.Remove(path+newSuffix))
	}
	err = w.file.Close()
	w.file, w.size, w.torn = next, 0, false
	return errors.Join(err, w.rot.prune())
}

// prune removes the oldest files above MaxFiles.
func (r *rotation) prune() error {
	if r.MaxSize <= 0 {
		return nil
	}
	files, err := rotated(r.path)
	if err != nil {
		return err
	}
	var errs []error
	for _, file := range files[:max(0, len(files)-max(r.MaxFiles-1, 0))] {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
