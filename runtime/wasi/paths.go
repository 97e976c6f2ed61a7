package wasi

import "context"

// The operations of a directory on the paths below it. Each one walks the path, and does the rest
// with one of the operations on locations (namespace_ops.go).

// walk walks a path below the directory.
func (d *Directory) walk(ctx context.Context, path string, follow bool) (location, error) {
	ns := d.at.ns
	p, err := ns.walk(ctx, d.location(), path, follow)
	if p.info.slow() {
		ns.guest.room.bulk += slowSize
	}
	return p, err
}

// StatPath returns the attributes of the file at a path. It follows a last link if follow is set.
func (d *Directory) StatPath(ctx context.Context, path string, follow bool) (Stat, error) {
	info, err := d.attributes(ctx, path, follow)
	if err != nil {
		return Stat{}, err
	}
	return statOf(&info.Stat_t), nil
}

func (d *Directory) attributes(ctx context.Context, path string, follow bool) (*attributes, error) {
	ns := d.at.ns
	if p, ok := ns.direct(d, path); ok {
		info, err := p.lstat()
		if err == nil && info == nil {
			return nil, ErrNotExist
		}
		if err == nil && !(follow && info.isLink()) {
			return info, nil
		}
	}
	p, err := ns.walk(ctx, d.location(), path, follow)
	if err != nil {
		return nil, err
	}
	if p.info == nil {
		return nil, ErrNotExist
	}
	return p.info, nil
}

// SetTimes sets the times of the directory.
func (d *Directory) SetTimes(ctx context.Context, times Times) error {
	p, err := d.at.ns.walk(ctx, d.location(), ".", true)
	if err != nil {
		return err
	}
	return p.setTimes(times)
}

// SetTimesPath sets the times of the file at a path. It follows a last link if follow is set.
func (d *Directory) SetTimesPath(ctx context.Context, path string, follow bool, times Times) error {
	p, err := d.walk(ctx, path, follow)
	if err != nil {
		return err
	}
	return p.setTimes(times)
}

// Mkdir makes a directory.
func (d *Directory) Mkdir(ctx context.Context, path string) error {
	p, err := d.walk(ctx, path, false)
	if err != nil {
		return err
	}
	return p.mkdir(ctx)
}

// Rmdir removes a directory, which must be empty.
func (d *Directory) Rmdir(ctx context.Context, path string) error {
	p, err := d.walk(ctx, path, false)
	if err != nil {
		return err
	}
	return p.rmdir(ctx)
}

// Unlink removes a file. It does not remove a directory.
func (d *Directory) Unlink(ctx context.Context, path string) error {
	p, err := d.walk(ctx, path, false)
	if err != nil {
		return err
	}
	return p.unlink(ctx)
}

// Readlink returns the target of a symbolic link.
func (d *Directory) Readlink(ctx context.Context, path string) (string, error) {
	p, err := d.walk(ctx, path, false)
	if err != nil {
		return "", err
	}
	return p.readlink()
}

// Symlink makes a symbolic link. target is relative and not empty.
func (d *Directory) Symlink(ctx context.Context, target, path string) error {
	switch {
	case target == "":
		return ErrNotExist
	case len(target) >= MaxPath:
		return ErrNameTooLong
	}
	p, err := d.walk(ctx, path, false)
	if err != nil {
		return err
	}
	return p.symlink(target)
}

// Link makes a second name for the file at from. The new name is path below to. It follows a link
// at from if follow is set.
func (d *Directory) Link(ctx context.Context, from string, follow bool, to *Directory, path string) error {
	p, err := d.walk(ctx, from, follow)
	if err != nil {
		return err
	}
	q, err := to.walk(ctx, path, false)
	if err != nil {
		return err
	}
	return p.link(q)
}

// Rename moves the file or directory at from to path below to.
func (d *Directory) Rename(ctx context.Context, from string, to *Directory, path string) error {
	p, err := d.walk(ctx, from, false)
	if err != nil {
		return err
	}
	q, err := to.walk(ctx, path, false)
	if err != nil {
		return err
	}
	return p.rename(ctx, q)
}
