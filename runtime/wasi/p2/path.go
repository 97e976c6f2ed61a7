package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// follows reports whether a link at the end of the path is followed.
func follows(how bindings.PathFlags) bool { return how&bindings.PathFlagsSymlinkFollow != 0 }

// OpenAt implements bindings.Descriptor.
func (f *file) OpenAt(
	ctx context.Context, how bindings.PathFlags, path string, open bindings.OpenFlags, flags bindings.DescriptorFlags,
) (bindings.Descriptor, error) {
	opened, err := f.of.Open(ctx, path, follows(how), descriptor.Opens(open), descriptor.Flags(flags))
	if err != nil {
		return nil, fileError(err)
	}
	return &file{host: f.host, of: opened}, nil
}

// CreateDirectoryAt implements bindings.Descriptor.
func (f *file) CreateDirectoryAt(ctx context.Context, path string) error {
	return fileError(f.of.Mkdir(ctx, path))
}

// RemoveDirectoryAt implements bindings.Descriptor.
func (f *file) RemoveDirectoryAt(ctx context.Context, path string) error {
	return fileError(f.of.Rmdir(ctx, path))
}

// UnlinkFileAt implements bindings.Descriptor.
func (f *file) UnlinkFileAt(ctx context.Context, path string) error {
	return fileError(f.of.Unlink(ctx, path))
}

// SetTimesAt implements bindings.Descriptor.
func (f *file) SetTimesAt(ctx context.Context, how bindings.PathFlags, path string, access, modified bindings.NewTimestamp) error {
	return fileError(f.of.SetTimesPath(ctx, path, follows(how), timeOf(access), timeOf(modified)))
}

// LinkAt implements bindings.Descriptor.
func (f *file) LinkAt(ctx context.Context, how bindings.PathFlags, path string, to bindings.Descriptor, newPath string) error {
	return fileError(f.of.Link(ctx, path, follows(how), to.(*file).of, newPath))
}

// RenameAt implements bindings.Descriptor.
func (f *file) RenameAt(ctx context.Context, path string, to bindings.Descriptor, newPath string) error {
	return fileError(f.of.Rename(ctx, path, to.(*file).of, newPath))
}

// SymlinkAt implements bindings.Descriptor.
func (f *file) SymlinkAt(ctx context.Context, target, path string) error {
	return fileError(f.of.Symlink(ctx, target, path))
}

// ReadlinkAt implements bindings.Descriptor.
func (f *file) ReadlinkAt(ctx context.Context, path string) (string, error) {
	target, err := f.of.Readlink(ctx, path)
	return target, fileError(err)
}
