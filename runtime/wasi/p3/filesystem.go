package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

type (
	none       = typed.None
	fileFuture = typed.Future[result[bindings.FilesystemErrorCode]]
)

// preopens has the functions of wasi:filesystem/preopens.
type preopens struct{ host *Host }

// GetDirectories implements bindings.PreopensHost. As in preview 1 there is one directory, "/", and
// the mounts are below it.
func (p preopens) GetDirectories(context.Context) ([]typed.Tuple2[bindings.Descriptor, string], error) {
	root := &file{host: p.host, of: p.host.set.Root()}
	return []typed.Tuple2[bindings.Descriptor, string]{{A: root, B: "/"}}, nil
}

// file is the resource descriptor of wasi:filesystem.
type file struct {
	host *Host
	of   *descriptor.Descriptor
}

// Drop implements typed.Resource.
func (f *file) Drop() {
	if f.of != f.host.set.Root() {
		user{host: f.host, of: f.of}.close()
	}
}

// ReadViaStream implements bindings.Descriptor.
func (f *file) ReadViaStream(_ context.Context, offset bindings.Filesize) (typed.Tuple2[byteStream, fileFuture], error) {
	p := &promise{}
	return typed.Tuple2[byteStream, fileFuture]{A: f.host.readFile(f.of, offset, p), B: f.host.fileFuture(p)}, nil
}

// WriteViaStream implements bindings.Descriptor.
func (f *file) WriteViaStream(_ context.Context, data byteStream, offset bindings.Filesize) (fileFuture, error) {
	return f.host.fileFuture(f.host.writeFile(f.of, data, offset, false)), nil
}

// AppendViaStream implements bindings.Descriptor.
func (f *file) AppendViaStream(_ context.Context, data byteStream) (fileFuture, error) {
	return f.host.fileFuture(f.host.writeFile(f.of, data, 0, true)), nil
}

// ReadDirectory implements bindings.Descriptor.
func (f *file) ReadDirectory(context.Context) (typed.Tuple2[typed.Stream[bindings.DirectoryEntry], fileFuture], error) {
	p := &promise{}
	entries := typed.Tuple2[typed.Stream[bindings.DirectoryEntry], fileFuture]{B: f.host.fileFuture(p)}
	if dir, err := f.of.Directory(); err != nil {
		entries.A = failedStream(f.host, err, p, bindings.ElementDirectoryEntry)
	} else {
		from := &entrySource{user: f.host.use(f.of, nil), dir: dir}
		entries.A = stream(f.host, from, probeEntries, p, bindings.ElementDirectoryEntry)
	}
	return entries, nil
}

// Advise implements bindings.Descriptor.
func (f *file) Advise(context.Context, typed.Async[none], bindings.Filesize, bindings.Filesize, bindings.Advice) error {
	return fileError(f.of.Advise())
}

// SyncData implements bindings.Descriptor.
func (f *file) SyncData(ctx context.Context, async typed.Async[none]) error {
	return f.sync(ctx, async, true)
}

// Sync implements bindings.Descriptor.
func (f *file) Sync(ctx context.Context, async typed.Async[none]) error {
	return f.sync(ctx, async, false)
}

// sync flushes beside the turn, which may take seconds. What cannot be cancelled goes on to its
// end: then the guest that cancels hears so.
func (f *file) sync(ctx context.Context, async typed.Async[none], dataOnly bool) error {
	h := f.host
	if h.syncs == maxSyncs {
		return fileError(f.of.Sync(ctx, dataOnly))
	}
	x := h.x
	var done func(none, error)
	if !f.of.SyncLater(dataOnly, func(err error) {
		x.Post(func() {
			h.syncs--
			done(none{}, fileError(err))
		})
	}) {
		return fileError(f.of.Sync(ctx, dataOnly))
	}
	h.syncs++
	done = async.Later(func() {})
	return typed.ErrLater
}

// GetFlags implements bindings.Descriptor.
func (f *file) GetFlags(context.Context, typed.Async[bindings.DescriptorFlags]) (bindings.DescriptorFlags, error) {
	return bindings.DescriptorFlags(f.of.Flags()), nil
}

// GetType implements bindings.Descriptor.
func (f *file) GetType(context.Context, typed.Async[bindings.DescriptorType]) (bindings.DescriptorType, error) {
	return descriptorType(f.of.Type()), nil
}

// SetSize implements bindings.Descriptor.
func (f *file) SetSize(ctx context.Context, _ typed.Async[none], size bindings.Filesize) error {
	return fileError(f.of.SetSize(ctx, size))
}

// SetTimes implements bindings.Descriptor.
func (f *file) SetTimes(ctx context.Context, _ typed.Async[none], access, modified bindings.NewTimestamp) error {
	return fileError(f.of.SetTimes(ctx, timeOf(access), timeOf(modified)))
}

// Stat implements bindings.Descriptor.
func (f *file) Stat(context.Context, typed.Async[bindings.DescriptorStat]) (bindings.DescriptorStat, error) {
	s, err := f.of.Stat()
	return statOf(s), fileError(err)
}

// IsSameObject implements bindings.Descriptor. WIT has no error for it.
func (f *file) IsSameObject(_ context.Context, _ typed.Async[bool], other bindings.Descriptor) (bool, error) {
	same, err := f.of.Same(other.(*file).of)
	return same && err == nil, nil
}

// MetadataHash implements bindings.Descriptor.
func (f *file) MetadataHash(context.Context, typed.Async[bindings.MetadataHashValue]) (bindings.MetadataHashValue, error) {
	s, err := f.of.Stat()
	return hashOf(s), fileError(err)
}

func hashOf(s wasi.Stat) (v bindings.MetadataHashValue) {
	v.Lower, v.Upper = descriptor.Hash(s)
	return v
}

// fileTypes translates the host's file types.
var fileTypes = [...]bindings.DescriptorTypeCase{
	wasi.TypeUnknown:         bindings.DescriptorTypeOther,
	wasi.TypeBlockDevice:     bindings.DescriptorTypeBlockDevice,
	wasi.TypeCharacterDevice: bindings.DescriptorTypeCharacterDevice,
	wasi.TypeDirectory:       bindings.DescriptorTypeDirectory,
	wasi.TypeFIFO:            bindings.DescriptorTypeFifo,
	wasi.TypeRegularFile:     bindings.DescriptorTypeRegularFile,
	wasi.TypeSocket:          bindings.DescriptorTypeSocket,
	wasi.TypeSymbolicLink:    bindings.DescriptorTypeSymbolicLink,
}

func descriptorType(t wasi.FileType) bindings.DescriptorType {
	return bindings.DescriptorType{Case: fileTypes[t]}
}

func statOf(s wasi.Stat) bindings.DescriptorStat {
	return bindings.DescriptorStat{
		Type: descriptorType(s.Type), LinkCount: s.Links, Size: s.Size,
		DataAccessTimestamp:       instant(s.AccessTime),
		DataModificationTimestamp: instant(s.ModTime),
		StatusChangeTimestamp:     instant(s.ChangeTime),
	}
}

func instant(ns uint64) typed.Option[bindings.Instant] {
	s, n := descriptor.Split(ns)
	return typed.Some(bindings.Instant{Seconds: s, Nanoseconds: n})
}

func timeOf(t bindings.NewTimestamp) descriptor.Time {
	return descriptor.Time{
		Set: descriptor.SetTime(t.Case), Seconds: t.Timestamp.Seconds, Nanoseconds: t.Timestamp.Nanoseconds,
	}
}
