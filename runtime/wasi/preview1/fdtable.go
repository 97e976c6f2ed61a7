package preview1

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// descriptor is one open descriptor of a guest.
type descriptor struct {
	object     wasi.Object
	rights     uint64
	inheriting uint64
	flags      uint16 // fdflags
	preopened  bool   // it was there when the guest started, and the guest may ask what it is
	// told says that the guest has looked at the flags of a listening socket, or set them. The
	// guest gets such a socket with flagNonblock, which Go's runtime looks for and needs: a call
	// that blocks would stop its whole guest. A guest that never looks cannot know of the flag, and
	// its accept waits, as such programs, in C mostly, expect.
	told bool
}

func (d *descriptor) nonblock() bool { return d.flags&flagNonblock != 0 }

// fdTable has a guest's descriptors by number. Numbers are given out lowest first. The host bounds
// how many there are.
type fdTable struct {
	slots []*descriptor // nil where free
	free  int           // no number below is free
}

func (t *fdTable) get(fd uint32) (*descriptor, error) {
	if uint64(fd) >= uint64(len(t.slots)) || t.slots[fd] == nil {
		return nil, ErrnoBadf
	}
	return t.slots[fd], nil
}

// put uses a number that is free.
func (t *fdTable) put(fd int, d *descriptor) {
	for len(t.slots) <= fd {
		t.slots = append(t.slots, nil)
	}
	t.slots[fd] = d
}

// add gives a descriptor a number.
func (t *fdTable) add(d *descriptor) uint32 {
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
	t.free = min(t.free, int(fd))
	return d.object.Close(ctx)
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
	t.free = min(t.free, int(from))
	return old.object.Close(ctx)
}

// closeAll closes what a guest that has ended had open. It does not wait for what takes long.
func (t *fdTable) closeAll() error {
	ended, end := context.WithCancel(context.Background())
	end()
	var errs []error
	for fd, d := range t.slots {
		if d == nil {
			continue
		}
		t.slots[fd] = nil
		if err := d.object.Close(ended); !errors.Is(err, wasi.ErrKilled) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// file is the file that fd must be, with the right. Reading and writing are named by how a file was
// opened, as in any Unix; where another right is missing, the error is ErrnoNotcapable.
func (t *fdTable) file(fd uint32, right uint64) (*wasi.File, *descriptor, error) {
	d, err := t.get(fd)
	if err != nil {
		return nil, nil, err
	}
	switch o := d.object.(type) {
	case *wasi.File:
		missing := right &^ d.rights
		switch {
		case missing&(rightFDRead|rightFDWrite) != 0:
			return nil, nil, ErrnoBadf
		case missing != 0:
			return nil, nil, ErrnoNotcapable
		}
		return o, d, nil
	case *wasi.Directory:
		return nil, nil, ErrnoBadf
	}
	return nil, nil, ErrnoSpipe
}

// directory is the directory that fd must be, with the right.
func (t *fdTable) directory(fd uint32, right uint64) (*wasi.Directory, *descriptor, error) {
	d, err := t.get(fd)
	if err != nil {
		return nil, nil, err
	}
	dir, ok := d.object.(*wasi.Directory)
	if !ok {
		return nil, nil, ErrnoNotdir
	}
	if right&^d.rights != 0 {
		return nil, nil, ErrnoNotcapable
	}
	return dir, d, nil
}

// any is the descriptor fd, of any kind, with the right.
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
