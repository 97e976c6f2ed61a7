package descriptor

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Opens are the flags of opening a path, with the bits of WASI 0.2 and 0.3.
type Opens uint32

// The flags.
const (
	Create Opens = 1 << iota
	OnlyDirectory
	Exclusive
	Truncate
)

// at returns the directory, and an error for a path that no file can have.
func (d *Descriptor) at(paths ...string) (*wasi.Directory, error) {
	for _, p := range paths {
		if strings.IndexByte(p, 0) >= 0 {
			return nil, wasi.ErrInvalid
		}
	}
	return d.Directory()
}

// Text returns a name or target of a link, which is of another program, as a string of WASI: it
// must be UTF-8.
func Text(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", wasi.ErrIllegalBytes
	}
	return s, nil
}

// Open opens a path. With neither Read nor Write, a file is opened to be read.
func (d *Descriptor) Open(ctx context.Context, path string, follow bool, how Opens, flags Flags) (*Descriptor, error) {
	dir, err := d.at(path)
	if err != nil {
		return nil, err
	}
	if how&Create != 0 && how&OnlyDirectory != 0 {
		return nil, wasi.ErrInvalid
	}
	if flags&(Read|Write) == 0 {
		flags |= Read
	}
	object, err := dir.Open(ctx, path, opening(follow, how, flags))
	if err != nil {
		return nil, err
	}
	if opened, ok := object.(*wasi.Directory); ok {
		flags = directoryFlags(opened, flags)
	} else {
		flags &^= MutateDirectory
	}
	opened := &Descriptor{set: d.set, object: object, flags: flags, users: 1}
	d.set.add(opened)
	return opened, nil
}

func opening(follow bool, how Opens, flags Flags) wasi.Opening {
	var o wasi.Opening
	for _, one := range [...]struct {
		is bool
		o  wasi.Opening
	}{
		{follow, wasi.Follow},
		{flags&Read != 0, wasi.Read},
		{flags&Write != 0, wasi.Write},
		{how&Create != 0, wasi.Create},
		{how&OnlyDirectory != 0, wasi.OnlyDirectory},
		{how&Exclusive != 0, wasi.Exclusive},
		{how&Truncate != 0, wasi.Truncate},
		{flags&DataIntegritySync != 0, wasi.DataSync},
		{flags&(FileIntegritySync|RequestedWriteSync) != 0, wasi.Sync},
	} {
		if one.is {
			o |= one.o
		}
	}
	return o
}

// StatPath returns the attributes of the file at a path.
func (d *Descriptor) StatPath(ctx context.Context, path string, follow bool) (wasi.Stat, error) {
	dir, err := d.at(path)
	if err != nil {
		return wasi.Stat{}, err
	}
	return dir.StatPath(ctx, path, follow)
}

// SetTimesPath sets the times of the file at a path.
func (d *Descriptor) SetTimesPath(ctx context.Context, path string, follow bool, access, modified Time) error {
	dir, err := d.at(path)
	if err != nil {
		return err
	}
	times, err := timesOf(access, modified)
	if err != nil {
		return err
	}
	return dir.SetTimesPath(ctx, path, follow, times)
}

// Mkdir makes a directory.
func (d *Descriptor) Mkdir(ctx context.Context, path string) error {
	dir, err := d.at(path)
	if err != nil {
		return err
	}
	return dir.Mkdir(ctx, path)
}

// Rmdir removes a directory.
func (d *Descriptor) Rmdir(ctx context.Context, path string) error {
	dir, err := d.at(path)
	if err != nil {
		return err
	}
	return dir.Rmdir(ctx, path)
}

// Unlink removes a file that is no directory.
func (d *Descriptor) Unlink(ctx context.Context, path string) error {
	dir, err := d.at(path)
	if err != nil {
		return err
	}
	return dir.Unlink(ctx, path)
}

// Readlink returns the target of a symbolic link.
func (d *Descriptor) Readlink(ctx context.Context, path string) (string, error) {
	dir, err := d.at(path)
	if err != nil {
		return "", err
	}
	target, err := dir.Readlink(ctx, path)
	if err != nil {
		return "", err
	}
	return Text(target)
}

// Symlink makes a symbolic link.
func (d *Descriptor) Symlink(ctx context.Context, target, path string) error {
	dir, err := d.at(target, path)
	if err != nil {
		return err
	}
	return dir.Symlink(ctx, target, path)
}

// Link makes a second name for a file.
func (d *Descriptor) Link(ctx context.Context, from string, follow bool, to *Descriptor, path string) error {
	source, target, err := d.both(from, to, path)
	if err != nil {
		return err
	}
	return source.Link(ctx, from, follow, target, path)
}

// Rename moves a file or directory.
func (d *Descriptor) Rename(ctx context.Context, from string, to *Descriptor, path string) error {
	source, target, err := d.both(from, to, path)
	if err != nil {
		return err
	}
	return source.Rename(ctx, from, target, path)
}

func (d *Descriptor) both(from string, to *Descriptor, path string) (source, target *wasi.Directory, err error) {
	if source, err = d.at(from); err != nil {
		return nil, nil, err
	}
	target, err = to.at(path)
	return source, target, err
}
