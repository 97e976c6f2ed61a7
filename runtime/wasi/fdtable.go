package wasi

import (
	"context"
	"errors"
)

// descriptor is one open descriptor of a guest.
type descriptor struct {
	object     object
	rights     uint64
	inheriting uint64
	flags      uint16 // fdflags
	preopened  bool   // it was there when the guest started, and the guest may ask what it is
	taken      bool   // it counts in the files that guests share
}

// object is what a descriptor refers to: an *input, *output, *file, *directory, *listener or *connection.
type object interface {
	filetype() filetype
	stat() (filestat, error)
	close() error
}

// fdTable has a guest's descriptors by number. Numbers are given out lowest first.
type fdTable struct {
	slots []*descriptor // nil where free
	open  int
	limit int
	free  int    // no number below is free
	files *Files // nil without a bound
	held  int    // of files
	bulk  int64  // what the guest has put into files, and met in one, in bytes: see large
}

func newFDTable(limit int, files *Files) *fdTable {
	return &fdTable{limit: max(limit, 4), files: files}
}

func (t *fdTable) get(fd uint32) (*descriptor, error) {
	if uint64(fd) >= uint64(len(t.slots)) || t.slots[fd] == nil {
		return nil, ErrnoBadf
	}
	return t.slots[fd], nil
}

// put uses a number that is free, and below the limit.
func (t *fdTable) put(fd int, d *descriptor) {
	for len(t.slots) <= fd {
		t.slots = append(t.slots, nil)
	}
	t.slots[fd] = d
	t.open++
}

// reserve makes sure that a descriptor can be added, before the host opens anything. What it takes is used by add, or
// given back by release.
func (t *fdTable) reserve() error {
	switch {
	case t.open >= t.limit:
		return ErrnoMfile
	case !t.files.take(t.held):
		return ErrnoNfile
	}
	t.held++
	return nil
}

func (t *fdTable) release() {
	t.held--
	t.files.give(1)
}

// add gives a descriptor a number, after reserve.
func (t *fdTable) add(d *descriptor) uint32 {
	d.taken = true
	if f, ok := d.object.(*file); ok && f.large {
		t.bulk += slowSize
	}
	for t.free < len(t.slots) && t.slots[t.free] != nil {
		t.free++
	}
	fd := t.free
	t.put(fd, d)
	return uint32(fd)
}

func (t *fdTable) close(ctx context.Context, fd uint32) error {
	d, err := t.get(fd)
	if err != nil {
		return err
	}
	t.slots[fd] = nil
	t.open--
	t.free = min(t.free, int(fd))
	return t.end(ctx, d)
}

// end closes what a descriptor stood for.
func (t *fdTable) end(ctx context.Context, d *descriptor) error {
	var slow []int
	if t.large() {
		slow = t.slow(d)
	}
	err := t.shut(d)
	if len(slow) > 0 {
		err = errors.Join(err, wait(ctx, func() error { drop(t.files, slow); return nil }))
	}
	return err
}

// large says whether the guest may have large files open. Others need no look when they are closed, which would cost as
// much as closing them.
func (t *fdTable) large() bool { return t.bulk >= slowSize }

// slow is a second descriptor of a file that it takes long to close. It is closed as the last one, aside.
func (t *fdTable) slow(d *descriptor) []int {
	f, ok := d.object.(*file)
	if !ok || !f.slow() {
		return nil
	}
	own, _ := copies(t.files, []int{f.fd})
	return own
}

func (t *fdTable) shut(d *descriptor) error {
	err := d.object.close()
	if d.taken {
		t.release()
	}
	return err
}

// renumber moves from to the number to, which is closed before.
func (t *fdTable) renumber(ctx context.Context, from, to uint32) error {
	d, err := t.get(from)
	if err != nil {
		return err
	}
	old, err := t.get(to)
	if err != nil || from == to {
		return err
	}
	t.slots[to], t.slots[from] = d, nil
	t.open--
	t.free = min(t.free, int(from))
	return t.end(ctx, old)
}

// closeAll closes what a guest that has ended had open. It does not wait for what takes long.
func (t *fdTable) closeAll() error {
	var (
		errs []error
		slow []int
	)
	for fd, d := range t.slots {
		if d != nil {
			t.slots[fd] = nil
			t.open--
			slow = append(slow, t.slow(d)...)
			errs = append(errs, t.shut(d))
		}
	}
	if len(slow) > 0 {
		go drop(t.files, slow) // ends when they are closed
	}
	return errors.Join(errs...)
}

// file is the file that fd must be, with the right. Reading and writing are named by how a file was opened, as in
// any Unix; want of another right is ErrnoNotcapable.
func (t *fdTable) file(fd uint32, right uint64) (*file, *descriptor, error) {
	d, err := t.get(fd)
	if err != nil {
		return nil, nil, err
	}
	switch o := d.object.(type) {
	case *file:
		missing := right &^ d.rights
		switch {
		case missing&(rightFDRead|rightFDWrite) != 0:
			return nil, nil, ErrnoBadf
		case missing != 0:
			return nil, nil, ErrnoNotcapable
		}
		return o, d, nil
	case *directory:
		return nil, nil, ErrnoBadf
	}
	return nil, nil, ErrnoSpipe
}

// directory is the directory that fd must be, with the right.
func (t *fdTable) directory(fd uint32, right uint64) (*directory, *descriptor, error) {
	d, err := t.get(fd)
	if err != nil {
		return nil, nil, err
	}
	dir, ok := d.object.(*directory)
	if !ok {
		return nil, nil, ErrnoNotdir
	}
	if right&^d.rights != 0 {
		return nil, nil, ErrnoNotcapable
	}
	return dir, d, nil
}

// any is the descriptor fd, whatever it is, with the right.
func (t *fdTable) any(fd uint32, right uint64) (*descriptor, error) {
	d, err := t.get(fd)
	if err != nil {
		return nil, err
	}
	if right&^d.rights != 0 {
		return nil, ErrnoNotcapable
	}
	return d, nil
}
