package p2

import (
	"context"
	"math"

	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// descriptor is the resource descriptor of wasi:filesystem: an open file or directory.
type descriptor struct {
	host  *Host
	of    *shared
	file  *wasi.File      // or nil
	dir   *wasi.Directory // or nil
	flags bindings.DescriptorFlags
	first bool // a handle of the directory that the guest has from its start
}

// preopens has the functions of wasi:filesystem/preopens.
type preopens struct{ host *Host }

// GetDirectories implements bindings.PreopensHost. As in preview 1 there is one directory, "/", and
// the mounts are below it.
func (p preopens) GetDirectories(context.Context) ([]typed.Tuple2[bindings.Descriptor, string], error) {
	h := p.host
	if err := h.take(rootHandles); err != nil {
		return nil, err
	}
	root := h.guest.Root()
	d := &descriptor{host: h, of: h.root.use(), dir: root, flags: directoryFlags(root), first: true}
	return []typed.Tuple2[bindings.Descriptor, string]{{A: d, B: root.Path()}}, nil
}

// directoryFlags are the flags of a directory. Adapters for preview 1 never ask for mutate-directory,
// and change directories nevertheless, so only the mount decides.
func directoryFlags(d *wasi.Directory) bindings.DescriptorFlags {
	if d.ReadOnly() {
		return bindings.DescriptorFlagsRead
	}
	return bindings.DescriptorFlagsRead | bindings.DescriptorFlagsMutateDirectory
}

// Drop implements typed.Resource.
func (d *descriptor) Drop() {
	d.of.release()
	if d.first {
		d.host.give(rootHandles)
	}
}

// readable returns the file, if the guest may read it.
func (d *descriptor) readable() (*wasi.File, error) { return d.with(bindings.DescriptorFlagsRead) }

// writable returns the file, if the guest may write to it.
func (d *descriptor) writable() (*wasi.File, error) { return d.with(bindings.DescriptorFlagsWrite) }

// with returns the file if it has the flag. Else the error is that of a file that was not opened for
// it, as in any Unix.
func (d *descriptor) with(flag bindings.DescriptorFlags) (*wasi.File, error) {
	if d.file == nil || d.flags&flag == 0 {
		return nil, bindings.FilesystemErrorCodeBadDescriptor
	}
	return d.file, nil
}

// stream counts a stream of the file, and checks the offset at which it starts.
func (d *descriptor) stream(offset bindings.Filesize) error {
	if offset > math.MaxInt64 {
		return bindings.FilesystemErrorCodeInvalid
	}
	if d.host.take(streams) != nil {
		return bindings.FilesystemErrorCodeInsufficientMemory
	}
	return nil
}

// ReadViaStream implements bindings.Descriptor.
func (d *descriptor) ReadViaStream(_ context.Context, offset bindings.Filesize) (bindings.InputStream, error) {
	f, err := d.readable()
	if err != nil {
		return nil, err
	}
	if err := d.stream(offset); err != nil {
		return nil, err
	}
	return &inputStream{host: d.host, of: d.of.use(), file: f, offset: int64(offset)}, nil
}

// WriteViaStream implements bindings.Descriptor.
func (d *descriptor) WriteViaStream(_ context.Context, offset bindings.Filesize) (bindings.OutputStream, error) {
	f, err := d.writable()
	if err != nil {
		return nil, err
	}
	if err := d.stream(offset); err != nil {
		return nil, err
	}
	return &outputStream{host: d.host, of: d.of.use(), file: f, offset: int64(offset)}, nil
}

// AppendViaStream implements bindings.Descriptor.
func (d *descriptor) AppendViaStream(context.Context) (bindings.OutputStream, error) {
	f, err := d.writable()
	if err != nil {
		return nil, err
	}
	if err := d.stream(0); err != nil {
		return nil, err
	}
	return &outputStream{host: d.host, of: d.of.use(), file: f, append: true}, nil
}

// Advise implements bindings.Descriptor. It ignores the advice, because that only concerns speed.
func (d *descriptor) Advise(context.Context, bindings.Filesize, bindings.Filesize, bindings.Advice) error {
	if d.file == nil {
		return bindings.FilesystemErrorCodeBadDescriptor
	}
	return nil
}

// SyncData implements bindings.Descriptor.
func (d *descriptor) SyncData(ctx context.Context) error { return d.sync(ctx, true) }

// Sync implements bindings.Descriptor.
func (d *descriptor) Sync(ctx context.Context) error { return d.sync(ctx, false) }

func (d *descriptor) sync(ctx context.Context, dataOnly bool) error {
	if d.file != nil {
		return fileError(d.file.Sync(ctx, dataOnly))
	}
	return fileError(d.dir.Sync(ctx, dataOnly))
}

// GetFlags implements bindings.Descriptor.
func (d *descriptor) GetFlags(context.Context) (bindings.DescriptorFlags, error) { return d.flags, nil }

// GetType implements bindings.Descriptor.
func (d *descriptor) GetType(context.Context) (bindings.DescriptorType, error) {
	return fileTypes[d.of.object.Type()], nil
}

// SetSize implements bindings.Descriptor.
func (d *descriptor) SetSize(ctx context.Context, size bindings.Filesize) error {
	f, err := d.writable()
	if err != nil {
		return err
	}
	if size > math.MaxInt64 {
		return bindings.FilesystemErrorCodeInvalid
	}
	return fileError(f.SetSize(ctx, int64(size)))
}

// SetTimes implements bindings.Descriptor.
func (d *descriptor) SetTimes(ctx context.Context, access, modification bindings.NewTimestamp) error {
	times, err := newTimes(access, modification)
	if err != nil {
		return err
	}
	if d.file != nil {
		return fileError(d.file.SetTimes(times))
	}
	return fileError(d.dir.SetTimes(ctx, times))
}

// newTimes are the times that a guest sets. Each of the two is set to a value, set to now, or not
// changed.
func newTimes(access, modification bindings.NewTimestamp) (times wasi.Times, err error) {
	for i, t := range [...]bindings.NewTimestamp{access, modification} {
		switch t.Case {
		case bindings.NewTimestampNoChange:
			times[i] = unix.Timespec{Nsec: unix.UTIME_OMIT}
		case bindings.NewTimestampNow:
			times[i] = unix.Timespec{Nsec: unix.UTIME_NOW}
		default:
			if t.Timestamp.Nanoseconds >= 1e9 || t.Timestamp.Seconds > math.MaxInt64 {
				return times, bindings.FilesystemErrorCodeInvalid
			}
			times[i] = unix.Timespec{Sec: int64(t.Timestamp.Seconds), Nsec: int64(t.Timestamp.Nanoseconds)}
		}
	}
	return times, nil
}

// Read implements bindings.Descriptor.
func (d *descriptor) Read(ctx context.Context, n, offset bindings.Filesize) (r typed.Tuple2[[]byte, bool], err error) {
	f, err := d.readable()
	if err != nil {
		return r, err
	}
	if offset > math.MaxInt64 {
		return r, bindings.FilesystemErrorCodeInvalid
	}
	b := d.host.buffer(int(min(n, maxRead)))
	got, err := f.ReadAt(ctx, d.host.list(b), int64(offset))
	if err != nil {
		return r, fileError(err)
	}
	r.A, r.B = b[:got], got < len(b) && (got == 0 || f.Type() == wasi.TypeRegularFile)
	return r, nil
}

// Write implements bindings.Descriptor.
func (d *descriptor) Write(ctx context.Context, p []byte, offset bindings.Filesize) (bindings.Filesize, error) {
	f, err := d.writable()
	if err != nil {
		return 0, err
	}
	if offset > math.MaxInt64 {
		return 0, bindings.FilesystemErrorCodeInvalid
	}
	n, err := f.WriteAt(ctx, d.host.list(p), int64(offset))
	d.host.list(nil) // p is the guest's memory, which may be freed
	return bindings.Filesize(n), fileError(err)
}
