package descriptor

import (
	"context"
	"errors"
	"math/bits"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Flags are those of a descriptor, with the bits of WASI 0.2 and 0.3.
type Flags uint32

// The flags.
const (
	Read Flags = 1 << iota
	Write
	FileIntegritySync
	DataIntegritySync
	RequestedWriteSync
	MutateDirectory
)

// Set has the descriptors that a guest has open by one version of WASI. Like the guest it belongs
// to one thread.
type Set struct {
	open map[*Descriptor]struct{} // nil before the first, and after Close
	root Descriptor
}

// Descriptor is an open file or directory.
type Descriptor struct {
	set    *Set
	object wasi.Object
	flags  Flags
	users  int // the guest's handle, and streams
}

// NewSet makes a set for a guest, which was made with Config.Confined.
func NewSet(g *wasi.Guest) *Set {
	s := &Set{}
	s.root = Descriptor{set: s, object: g.Root(), flags: directoryFlags(g.Root(), MutateDirectory)}
	return s
}

func (s *Set) add(d *Descriptor) {
	if s.open == nil {
		s.open = map[*Descriptor]struct{}{}
	}
	s.open[d] = struct{}{}
}

// Keep returns a descriptor of an object that is no file, as a socket is, for those that share it.
// Done and Close close it as they do files.
func (s *Set) Keep(o wasi.Object) *Descriptor {
	d := &Descriptor{set: s, object: o, users: 1}
	s.add(d)
	return d
}

// directoryFlags are those of a directory that was opened with some.
func directoryFlags(d *wasi.Directory, asked Flags) Flags {
	if d.ReadOnly() {
		return Read
	}
	return Read | asked&MutateDirectory
}

// Root returns the descriptor of "/", which is always the same one and stays open.
func (s *Set) Root() *Descriptor { return &s.root }

// Close closes all descriptors. The guest has ended. It does not wait for slow calls.
func (s *Set) Close() error {
	var errs []error
	for d := range s.open {
		if err := d.object.Close(wasi.Ended); !errors.Is(err, wasi.ErrKilled) {
			errs = append(errs, err)
		}
	}
	s.open = nil
	return errors.Join(errs...)
}

// Use keeps the descriptor open until Done.
func (d *Descriptor) Use() { d.users++ }

// Done ends a use, the first of which is the guest's handle. After the last one the descriptor is
// closed. Close waits while the kernel frees a large file.
func (d *Descriptor) Done(ctx context.Context) error {
	if d.users--; d.users > 0 || d == &d.set.root {
		return nil
	}
	if _, open := d.set.open[d]; !open {
		return nil // the set closed it
	}
	delete(d.set.open, d)
	return d.object.Close(ctx)
}

// Flags returns the flags.
func (d *Descriptor) Flags() Flags { return d.flags }

// Type returns the type of the file.
func (d *Descriptor) Type() wasi.FileType { return d.object.Type() }

// File returns the file. The error is ErrBadDescriptor if it is a directory, or was not opened for
// what is needed.
func (d *Descriptor) File(needs Flags) (*wasi.File, error) {
	f, ok := d.object.(*wasi.File)
	if !ok || needs&^d.flags != 0 {
		return nil, wasi.ErrBadDescriptor
	}
	return f, nil
}

// Directory returns the directory. The error is ErrNotDirectory if it is none.
func (d *Descriptor) Directory() (*wasi.Directory, error) {
	if dir, ok := d.object.(*wasi.Directory); ok {
		return dir, nil
	}
	return nil, wasi.ErrNotDirectory
}

// Stat returns the attributes of the file.
func (d *Descriptor) Stat() (wasi.Stat, error) { return d.object.Stat() }

// SetTimes sets the times of the file.
func (d *Descriptor) SetTimes(ctx context.Context, access, modified Time) error {
	times, err := timesOf(access, modified)
	if err != nil {
		return err
	}
	switch o := d.object.(type) {
	case *wasi.File:
		return o.SetTimes(times)
	case *wasi.Directory:
		return o.SetTimes(ctx, times)
	}
	return wasi.ErrInvalid
}

// SetSize makes the file shorter or longer.
func (d *Descriptor) SetSize(ctx context.Context, size uint64) error {
	f, err := d.File(Write)
	if err != nil {
		return err
	}
	if size > 1<<63-1 {
		return wasi.ErrInvalid
	}
	return f.SetSize(ctx, int64(size))
}

// Sync writes what was changed to the disk, and waits for that.
func (d *Descriptor) Sync(ctx context.Context, dataOnly bool) error {
	if o, ok := d.object.(interface {
		Sync(ctx context.Context, dataOnly bool) error
	}); ok {
		return o.Sync(ctx, dataOnly)
	}
	return wasi.ErrInvalid
}

// SyncLater is Sync, which calls done with the result from another goroutine. It reports whether it
// does: else Sync has to be called.
func (d *Descriptor) SyncLater(dataOnly bool, done func(error)) bool {
	o, ok := d.object.(interface {
		SyncLater(dataOnly bool, done func(error)) bool
	})
	return ok && o.SyncLater(dataOnly, done)
}

// Advise takes advice of how a file will be used, and ignores it: it only concerns speed.
func (d *Descriptor) Advise() error {
	_, err := d.File(0)
	return err
}

// Same reports whether two descriptors are of the same file.
func (d *Descriptor) Same(other *Descriptor) (bool, error) {
	a, err := d.Stat()
	if err != nil {
		return false, err
	}
	b, err := other.Stat()
	return a.Dev == b.Dev && a.Ino == b.Ino, err
}

// Hash is a hash of what makes a file the same file. C libraries take the lower half for the number
// of the inode, so it does not change when the file is written to, and differs between any two
// files of a file system.
func Hash(s wasi.Stat) (lower, upper uint64) {
	return mix(s.Ino ^ mix(s.Dev)), mix(s.Dev ^ bits.ReverseBytes64(mix(^s.Ino)))
}

// mix spreads the bits of a number (the finalizer of SplitMix64). Different numbers stay different.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// IsPipe reports whether reads and writes of a file wait for its other end, and have no offset.
func IsPipe(f *wasi.File) bool { return f.Type() == wasi.TypeFIFO }
