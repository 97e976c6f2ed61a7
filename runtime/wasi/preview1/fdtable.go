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
	preopened  bool   // the guest had it at its start, and may ask about it
	// told says that the guest has read or set the flags of a listening socket. Such a socket has
	// flagNonblock at first. Go's runtime reads this flag and needs it, because a call that blocks
	// would stop the whole guest. A guest that never reads the flags does not know about it, and
	// its accept waits, as such programs, mostly in C, expect.
	told bool
}

func (d *descriptor) nonblock() bool { return d.flags&flagNonblock != 0 }

// fdTable has a guest's descriptors by number. The lowest free number is used first. The host
// bounds their number.
type fdTable struct {
	slots []*descriptor // nil if the number is free
	free  int           // all numbers below are used
}

func (t *fdTable) get(fd uint32) (*descriptor, error) {
	if uint64(fd) >= uint64(len(t.slots)) || t.slots[fd] == nil {
		return nil, ErrnoBadf
	}
	return t.slots[fd], nil
}

// put uses a free number for a descriptor.
func (t *fdTable) put(fd int, d *descriptor) {
	for len(t.slots) <= fd {
		t.slots = append(t.slots, nil)
	}
	t.slots[fd] = d
}

// add gives a number to a descriptor.
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

// renumber moves the descriptor from to the number to, and closes the old descriptor of that
// number.
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

// closeAll closes everything that a guest has open after its end. It does not wait for slow calls.
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

// file is the file with the number fd. It must have the right. Without the right to read or write,
// the error is that of a file that was not opened for it, as in any Unix; for another right it is
// ErrnoNotcapable.
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

// directory is the directory with the number fd. It must have the right.
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

// any is the descriptor fd, of any kind. It must have the right.
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
