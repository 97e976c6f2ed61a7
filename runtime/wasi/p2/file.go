package p2

import (
	"context"
	"math"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// file is the resource descriptor of wasi:filesystem: an open file or directory.
type file struct {
	host  *Host
	of    *descriptor.Descriptor
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
	f := &file{host: h, of: use(h.set.Root()), first: true}
	return []typed.Tuple2[bindings.Descriptor, string]{{A: f, B: h.guest.Root().Path()}}, nil
}

// Drop implements typed.Resource.
func (f *file) Drop() {
	f.host.done(f.of)
	if f.first {
		f.host.give(rootHandles)
	}
}

// at returns the file for a transfer at an offset, if the guest opened it for that.
func (f *file) at(offset bindings.Filesize, needs descriptor.Flags) (*wasi.File, error) {
	of, err := f.of.File(needs)
	if err == nil && offset > math.MaxInt64 {
		err = wasi.ErrInvalid
	}
	return of, fileError(err)
}

// stream is at for a stream, which it counts.
func (f *file) stream(offset bindings.Filesize, needs descriptor.Flags) (*wasi.File, error) {
	of, err := f.at(offset, needs)
	if err == nil && f.host.take(streams) != nil {
		err = bindings.FilesystemErrorCodeInsufficientMemory
	}
	return of, err
}

// ReadViaStream implements bindings.Descriptor.
func (f *file) ReadViaStream(_ context.Context, offset bindings.Filesize) (bindings.InputStream, error) {
	of, err := f.stream(offset, descriptor.Read)
	if err != nil {
		return nil, err
	}
	return &inputStream{host: f.host, of: use(f.of), file: of, offset: int64(offset)}, nil
}

// WriteViaStream implements bindings.Descriptor.
func (f *file) WriteViaStream(_ context.Context, offset bindings.Filesize) (bindings.OutputStream, error) {
	of, err := f.stream(offset, descriptor.Write)
	if err != nil {
		return nil, err
	}
	return &outputStream{host: f.host, of: use(f.of), file: of, offset: int64(offset)}, nil
}

// AppendViaStream implements bindings.Descriptor.
func (f *file) AppendViaStream(context.Context) (bindings.OutputStream, error) {
	of, err := f.stream(0, descriptor.Write)
	if err != nil {
		return nil, err
	}
	return &outputStream{host: f.host, of: use(f.of), file: of, append: true}, nil
}

// Read implements bindings.Descriptor. It reports whether it met the end of the file.
func (f *file) Read(ctx context.Context, n, offset bindings.Filesize) (r typed.Tuple2[[]byte, bool], err error) {
	of, err := f.at(offset, descriptor.Read)
	if err != nil {
		return r, err
	}
	b := f.host.guest.Scratch(int(min(n, maxRead)))
	got, err := of.ReadAt(ctx, f.host.guest.One(b), int64(offset))
	if err != nil {
		return r, fileError(err)
	}
	r.A, r.B = b[:got], got < len(b) && (got == 0 || of.Type() == wasi.TypeRegularFile)
	return r, nil
}

// Write implements bindings.Descriptor.
func (f *file) Write(ctx context.Context, p []byte, offset bindings.Filesize) (bindings.Filesize, error) {
	of, err := f.at(offset, descriptor.Write)
	if err != nil {
		return 0, err
	}
	n, err := of.WriteAt(ctx, f.host.guest.One(p), int64(offset))
	f.host.guest.One(nil) // p is the guest's memory, which may be freed
	return bindings.Filesize(n), fileError(err)
}

// Advise implements bindings.Descriptor.
func (f *file) Advise(context.Context, bindings.Filesize, bindings.Filesize, bindings.Advice) error {
	return fileError(f.of.Advise())
}

// SyncData implements bindings.Descriptor.
func (f *file) SyncData(ctx context.Context) error { return fileError(f.of.Sync(ctx, true)) }

// Sync implements bindings.Descriptor.
func (f *file) Sync(ctx context.Context) error { return fileError(f.of.Sync(ctx, false)) }

// GetFlags implements bindings.Descriptor.
func (f *file) GetFlags(context.Context) (bindings.DescriptorFlags, error) {
	return bindings.DescriptorFlags(f.of.Flags()), nil
}

// GetType implements bindings.Descriptor.
func (f *file) GetType(context.Context) (bindings.DescriptorType, error) {
	return fileTypes[f.of.Type()], nil
}

// SetSize implements bindings.Descriptor.
func (f *file) SetSize(ctx context.Context, size bindings.Filesize) error {
	return fileError(f.of.SetSize(ctx, size))
}

// SetTimes implements bindings.Descriptor.
func (f *file) SetTimes(ctx context.Context, access, modified bindings.NewTimestamp) error {
	return fileError(f.of.SetTimes(ctx, timeOf(access), timeOf(modified)))
}

// timeOf translates a time that the guest sets. The kernel has signed seconds.
func timeOf(t bindings.NewTimestamp) descriptor.Time {
	return descriptor.Time{
		Set: descriptor.SetTime(t.Case), Seconds: int64(min(t.Timestamp.Seconds, math.MaxInt64)), Nanoseconds: t.Timestamp.Nanoseconds,
	}
}
