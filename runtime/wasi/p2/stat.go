package p2

import (
	"context"
	"math/bits"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
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
func (d *descriptor) Stat(context.Context) (bindings.DescriptorStat, error) {
	return statResult(d.of.object.Stat())
}

// StatAt implements bindings.Descriptor.
func (d *descriptor) StatAt(ctx context.Context, how bindings.PathFlags, path string) (bindings.DescriptorStat, error) {
	return statResult(d.statAt(ctx, how, path))
}

func (d *descriptor) statAt(ctx context.Context, how bindings.PathFlags, path string) (wasi.Stat, error) {
	dir, err := d.at(path)
	if err != nil {
		return wasi.Stat{}, err
	}
	return dir.StatPath(ctx, path, follows(how))
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
	const second = 1e9
	return typed.Some(bindings.Datetime{Seconds: ns / second, Nanoseconds: uint32(ns % second)})
}

// IsSameObject implements bindings.Descriptor.
func (d *descriptor) IsSameObject(_ context.Context, other bindings.Descriptor) (bool, error) {
	a, err := d.of.object.Stat()
	if err != nil {
		return false, nil // WIT has no error for it
	}
	b, err := other.(*descriptor).of.object.Stat()
	return err == nil && a.Dev == b.Dev && a.Ino == b.Ino, nil
}

// MetadataHash implements bindings.Descriptor.
func (d *descriptor) MetadataHash(context.Context) (bindings.MetadataHashValue, error) {
	return hashResult(d.of.object.Stat())
}

// MetadataHashAt implements bindings.Descriptor.
func (d *descriptor) MetadataHashAt(ctx context.Context, how bindings.PathFlags, path string) (bindings.MetadataHashValue, error) {
	return hashResult(d.statAt(ctx, how, path))
}

// hashResult is a hash of what makes a file the same file. C libraries take the lower half for the
// number of the inode, so it does not change when the file is written to, and differs between any two
// files of a file system.
func hashResult(st wasi.Stat, err error) (bindings.MetadataHashValue, error) {
	if err != nil {
		return bindings.MetadataHashValue{}, fileError(err)
	}
	return bindings.MetadataHashValue{
		Lower: mix(st.Ino ^ mix(st.Dev)),
		Upper: mix(st.Dev ^ bits.ReverseBytes64(mix(^st.Ino))),
	}, nil
}

// mix spreads the bits of a number (the finalizer of SplitMix64). Different numbers stay different.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
