package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// fileTypes translates the host's file types.
var fileTypes = [...]bindings.DescriptorType{
	wasi.TypeUnknown:         bindings.DescriptorTypeUnknown,
	wasi.TypeBlockDevice:     bindings.DescriptorTypeBlockDevice,
	wasi.TypeCharacterDevice: bindings.DescriptorTypeCharacterDevice,
	wasi.TypeDirectory:       bindings.DescriptorTypeDirectory,
	wasi.TypeFIFO:            bindings.DescriptorTypeFifo,
	wasi.TypeRegularFile:     bindings.DescriptorTypeRegularFile,
	wasi.TypeSocket:          bindings.DescriptorTypeSocket,
	wasi.TypeSymbolicLink:    bindings.DescriptorTypeSymbolicLink,
}

// Stat implements bindings.Descriptor.
func (f *file) Stat(context.Context) (bindings.DescriptorStat, error) { return statResult(f.of.Stat()) }

// StatAt implements bindings.Descriptor.
func (f *file) StatAt(ctx context.Context, how bindings.PathFlags, path string) (bindings.DescriptorStat, error) {
	return statResult(f.of.StatPath(ctx, path, follows(how)))
}

func statResult(st wasi.Stat, err error) (bindings.DescriptorStat, error) {
	if err != nil {
		return bindings.DescriptorStat{}, fileError(err)
	}
	return bindings.DescriptorStat{
		Type: fileTypes[st.Type], LinkCount: st.Links, Size: st.Size,
		DataAccessTimestamp:       datetime(st.AccessTime),
		DataModificationTimestamp: datetime(st.ModTime),
		StatusChangeTimestamp:     datetime(st.ChangeTime),
	}, nil
}

func datetime(ns uint64) typed.Option[bindings.Datetime] {
	seconds, rest := descriptor.Split(ns)
	return typed.Some(bindings.Datetime{Seconds: uint64(seconds), Nanoseconds: rest})
}

// IsSameObject implements bindings.Descriptor. WIT has no error for it: a file that is gone is no
// other.
func (f *file) IsSameObject(_ context.Context, other bindings.Descriptor) (bool, error) {
	same, err := f.of.Same(other.(*file).of)
	return same && err == nil, nil
}

// MetadataHash implements bindings.Descriptor.
func (f *file) MetadataHash(context.Context) (bindings.MetadataHashValue, error) {
	return hashResult(f.of.Stat())
}

// MetadataHashAt implements bindings.Descriptor.
func (f *file) MetadataHashAt(ctx context.Context, how bindings.PathFlags, path string) (bindings.MetadataHashValue, error) {
	return hashResult(f.of.StatPath(ctx, path, follows(how)))
}

func hashResult(st wasi.Stat, err error) (v bindings.MetadataHashValue, _ error) {
	if err != nil {
		return v, fileError(err)
	}
	v.Lower, v.Upper = descriptor.Hash(st)
	return v, nil
}
