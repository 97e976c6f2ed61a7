package p2

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// follows reports whether a link at the end of the path is followed.
func follows(how bindings.PathFlags) bool { return how&bindings.PathFlagsSymlinkFollow != 0 }

// at returns the directory for a call with a path, and checks the path as preview 1 does.
func (d *descriptor) at(path string) (*wasi.Directory, error) {
	if d.dir == nil {
		return nil, wasi.ErrNotDirectory
	}
	return d.dir, checkPath(path)
}

func checkPath(path string) error {
	switch {
	case len(path) >= wasi.MaxPath:
		return wasi.ErrNameTooLong
	case strings.IndexByte(path, 0) >= 0:
		return wasi.ErrInvalid
	}
	return nil
}

// CreateDirectoryAt implements bindings.Descriptor.
func (d *descriptor) CreateDirectoryAt(ctx context.Context, path string) error {
	dir, err := d.at(path)
	if err == nil {
		err = dir.Mkdir(ctx, path)
	}
	return fileError(err)
}

// RemoveDirectoryAt implements bindings.Descriptor.
func (d *descriptor) RemoveDirectoryAt(ctx context.Context, path string) error {
	dir, err := d.at(path)
	if err == nil {
		err = dir.Rmdir(ctx, path)
	}
	return fileError(err)
}

// UnlinkFileAt implements bindings.Descriptor.
func (d *descriptor) UnlinkFileAt(ctx context.Context, path string) error {
	dir, err := d.at(path)
	if err == nil {
		err = dir.Unlink(ctx, path)
	}
	return fileError(err)
}

// SetTimesAt implements bindings.Descriptor.
func (d *descriptor) SetTimesAt(ctx context.Context, how bindings.PathFlags, path string, access, modification bindings.NewTimestamp) error {
	times, err := newTimes(access, modification)
	if err != nil {
		return err
	}
	dir, err := d.at(path)
	if err == nil {
		err = dir.SetTimesPath(ctx, path, follows(how), times)
	}
	return fileError(err)
}

// LinkAt implements bindings.Descriptor.
func (d *descriptor) LinkAt(ctx context.Context, how bindings.PathFlags, path string, to bindings.Descriptor, newPath string) error {
	from, target, err := d.two(path, to, newPath)
	if err == nil {
		err = from.Link(ctx, path, follows(how), target, newPath)
	}
	return fileError(err)
}

// RenameAt implements bindings.Descriptor.
func (d *descriptor) RenameAt(ctx context.Context, path string, to bindings.Descriptor, newPath string) error {
	from, target, err := d.two(path, to, newPath)
	if err == nil {
		err = from.Rename(ctx, path, target, newPath)
	}
	return fileError(err)
}

// two returns the directories for a call with two paths.
func (d *descriptor) two(path string, to bindings.Descriptor, newPath string) (from, target *wasi.Directory, err error) {
	if from, err = d.at(path); err == nil {
		target, err = to.(*descriptor).at(newPath)
	}
	return from, target, err
}

// SymlinkAt implements bindings.Descriptor.
func (d *descriptor) SymlinkAt(ctx context.Context, target, path string) error {
	dir, err := d.at(path)
	if err == nil {
		err = checkPath(target)
	}
	if err == nil {
		err = dir.Symlink(ctx, target, path)
	}
	return fileError(err)
}

// ReadlinkAt implements bindings.Descriptor.
func (d *descriptor) ReadlinkAt(ctx context.Context, path string) (string, error) {
	dir, err := d.at(path)
	if err != nil {
		return "", fileError(err)
	}
	target, err := dir.Readlink(ctx, path)
	if err == nil && !utf8.ValidString(target) {
		err = wasi.ErrIllegalBytes
	}
	if err != nil {
		return "", fileError(err)
	}
	return target, nil
}

// OpenAt implements bindings.Descriptor.
func (d *descriptor) OpenAt(
	ctx context.Context, how bindings.PathFlags, path string, open bindings.OpenFlags, flags bindings.DescriptorFlags,
) (bindings.Descriptor, error) {
	const createDirectory = bindings.OpenFlagsCreate | bindings.OpenFlagsDirectory
	if open&createDirectory == createDirectory {
		return nil, bindings.FilesystemErrorCodeInvalid
	}
	dir, err := d.at(path)
	if err != nil {
		return nil, fileError(err)
	}
	object, err := dir.Open(ctx, path, opening(how, open, flags))
	if err != nil {
		return nil, fileError(err)
	}
	opened := &descriptor{host: d.host, of: d.host.share(object)}
	switch o := object.(type) {
	case *wasi.Directory:
		opened.dir, opened.flags = o, directoryFlags(o)
	case *wasi.File:
		opened.file, opened.flags = o, flags&^bindings.DescriptorFlagsMutateDirectory
	}
	return opened, nil
}

// opening translates what a guest requests to the host's options.
func opening(how bindings.PathFlags, open bindings.OpenFlags, flags bindings.DescriptorFlags) wasi.Opening {
	const sync = bindings.DescriptorFlagsFileIntegritySync | bindings.DescriptorFlagsRequestedWriteSync
	return given(follows(how), wasi.Follow) |
		given(flags&bindings.DescriptorFlagsRead != 0, wasi.Read) |
		given(flags&bindings.DescriptorFlagsWrite != 0, wasi.Write) |
		given(flags&bindings.DescriptorFlagsDataIntegritySync != 0, wasi.DataSync) |
		given(flags&sync != 0, wasi.Sync) |
		given(open&bindings.OpenFlagsCreate != 0, wasi.Create) |
		given(open&bindings.OpenFlagsDirectory != 0, wasi.OnlyDirectory) |
		given(open&bindings.OpenFlagsExclusive != 0, wasi.Exclusive) |
		given(open&bindings.OpenFlagsTruncate != 0, wasi.Truncate)
}

func given(asked bool, o wasi.Opening) wasi.Opening {
	if asked {
		return o
	}
	return 0
}
