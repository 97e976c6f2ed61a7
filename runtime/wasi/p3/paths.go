package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// follows reports whether a link at the end of the path is followed.
func follows(how bindings.PathFlags) bool { return how&bindings.PathFlagsSymlinkFollow != 0 }

// OpenAt implements bindings.Descriptor. What makes or empties a file may write to it.
func (f *file) OpenAt(
	ctx context.Context, _ typed.Async[bindings.Descriptor],
	how bindings.PathFlags, path string, open bindings.OpenFlags, flags bindings.DescriptorFlags,
) (bindings.Descriptor, error) {
	const readOrWrite = bindings.DescriptorFlagsRead | bindings.DescriptorFlagsWrite
	if flags&readOrWrite == 0 {
		flags |= bindings.DescriptorFlagsRead
	}
	if open&(bindings.OpenFlagsCreate|bindings.OpenFlagsTruncate) != 0 {
		flags |= bindings.DescriptorFlagsWrite
	}
	d, err := f.of.Open(ctx, path, follows(how), descriptor.Opens(open), descriptor.Flags(flags))
	if err != nil {
		return nil, fileError(err)
	}
	return &file{host: f.host, of: d}, nil
}

// CreateDirectoryAt implements bindings.Descriptor.
func (f *file) CreateDirectoryAt(ctx context.Context, _ typed.Async[none], path string) error {
	return fileError(f.of.Mkdir(ctx, path))
}

// StatAt implements bindings.Descriptor.
func (f *file) StatAt(ctx context.Context, _ typed.Async[bindings.DescriptorStat], how bindings.PathFlags, path string) (bindings.DescriptorStat, error) {
	s, err := f.of.StatPath(ctx, path, follows(how))
	return statOf(s), fileError(err)
}

// SetTimesAt implements bindings.Descriptor.
func (f *file) SetTimesAt(
	ctx context.Context, _ typed.Async[none], how bindings.PathFlags, path string, access, modified bindings.NewTimestamp,
) error {
	return fileError(f.of.SetTimesPath(ctx, path, follows(how), timeOf(access), timeOf(modified)))
}

// LinkAt implements bindings.Descriptor.
func (f *file) LinkAt(
	ctx context.Context, _ typed.Async[none], how bindings.PathFlags, path string, to bindings.Descriptor, newPath string,
) error {
	return fileError(f.of.Link(ctx, path, follows(how), to.(*file).of, newPath))
}

// ReadlinkAt implements bindings.Descriptor.
func (f *file) ReadlinkAt(ctx context.Context, _ typed.Async[string], path string) (string, error) {
	target, err := f.of.Readlink(ctx, path)
	return target, fileError(err)
}

// RemoveDirectoryAt implements bindings.Descriptor.
func (f *file) RemoveDirectoryAt(ctx context.Context, _ typed.Async[none], path string) error {
	return fileError(f.of.Rmdir(ctx, path))
}

// RenameAt implements bindings.Descriptor.
func (f *file) RenameAt(ctx context.Context, _ typed.Async[none], path string, to bindings.Descriptor, newPath string) error {
	return fileError(f.of.Rename(ctx, path, to.(*file).of, newPath))
}

// SymlinkAt implements bindings.Descriptor.
func (f *file) SymlinkAt(ctx context.Context, _ typed.Async[none], target, path string) error {
	return fileError(f.of.Symlink(ctx, target, path))
}

// UnlinkFileAt implements bindings.Descriptor.
func (f *file) UnlinkFileAt(ctx context.Context, _ typed.Async[none], path string) error {
	return fileError(f.of.Unlink(ctx, path))
}

// MetadataHashAt implements bindings.Descriptor.
func (f *file) MetadataHashAt(
	ctx context.Context, _ typed.Async[bindings.MetadataHashValue], how bindings.PathFlags, path string,
) (bindings.MetadataHashValue, error) {
	s, err := f.of.StatPath(ctx, path, follows(how))
	return hashOf(s), fileError(err)
}
