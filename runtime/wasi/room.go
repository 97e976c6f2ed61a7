package wasi

// room bounds what a guest has open: how many descriptors, and how many of the files that all
// guests share.
type room struct {
	open, limit int
	files       *Files // nil without a bound
	held        int    // of files
	bulk        int64  // what the guest has put into files, and met in one, in bytes: see large
}

// reserve takes room for one more, before the host opens anything. release gives it back.
func (r *room) reserve() error {
	switch {
	case r.open >= r.limit:
		return ErrTooManyOpen
	case !r.files.take(r.held):
		return ErrNoFiles
	}
	r.open++
	r.held++
	return nil
}

func (r *room) release() {
	r.open--
	r.held--
	r.files.give(1)
}

// large reports whether the guest may have large files open. Other guests' files need no look when
// they are closed, which would cost as much as closing them.
func (r *room) large() bool { return r.bulk >= slowSize }

// moved counts bytes that were put into a file.
func (r *room) moved(bytes int64) { r.bulk += min(bytes, slowSize) }
