package wasi

import "context"

// lookupFollow is the flag of a lookup that follows a link at the end of the path.
const lookupFollow = 1

// walkArgs walks the path that the arguments from i on name: a directory, a pointer and a length.
// Its descriptor has the right.
func (g *Guest) walkArgs(ctx context.Context, m memory, right uint64, fd, ptr, n uint32, follow bool) (place, error) {
	dir, _, err := g.fds.directory(fd, right)
	if err != nil {
		return place{}, err
	}
	name, err := m.path(ptr, n)
	if err != nil {
		return place{}, err
	}
	p, err := g.ns.walk(ctx, dir.place(), name, follow)
	if p.info.slow() {
		g.fds.bulk += slowSize
	}
	return p, err
}

func pathCreateDirectory(ctx context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(ctx, m, rightPathCreateDirectory, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.mkdir(ctx)
}

func pathRemoveDirectory(ctx context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(ctx, m, rightPathRemoveDirectory, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.rmdir(ctx)
}

func pathUnlinkFile(ctx context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(ctx, m, rightPathUnlinkFile, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.unlink(ctx)
}

func pathFilestatGet(ctx context.Context, g *Guest, m memory, a arguments) error {
	dir, _, err := g.fds.directory(a.u32(0), rightPathFilestatGet)
	if err != nil {
		return err
	}
	name, err := m.path(a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	info, err := g.ns.attributes(ctx, dir, name, a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	return statOf(&info.Stat_t).put(m, a.u32(4))
}

// attributes are those of what a path of the guest leads to.
func (ns *namespace) attributes(ctx context.Context, dir *directory, name string, follow bool) (*attributes, error) {
	if p, ok := ns.direct(dir, name); ok {
		info, err := p.lstat()
		if err == nil && info == nil {
			return nil, ErrnoNoent
		}
		if err == nil && !(follow && info.isLink()) {
			return info, nil
		}
	}
	p, err := ns.walk(ctx, dir.place(), name, follow)
	if err != nil {
		return nil, err
	}
	if p.info == nil {
		return nil, ErrnoNoent
	}
	return p.info, nil
}

func pathFilestatSetTimes(ctx context.Context, g *Guest, m memory, a arguments) error {
	times, err := newTimes(a.u64(4), a.u64(5), a.u16(6))
	if err != nil {
		return err
	}
	p, err := g.walkArgs(ctx, m, rightPathFilestatSetTimes, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	return p.setTimes(times)
}

func pathLink(ctx context.Context, g *Guest, m memory, a arguments) error {
	from, err := g.walkArgs(ctx, m, rightPathLinkSource, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	to, err := g.walkArgs(ctx, m, rightPathLinkTarget, a.u32(4), a.u32(5), a.u32(6), false)
	if err != nil {
		return err
	}
	return from.link(to)
}

func pathRename(ctx context.Context, g *Guest, m memory, a arguments) error {
	from, err := g.walkArgs(ctx, m, rightPathRenameSource, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	to, err := g.walkArgs(ctx, m, rightPathRenameTarget, a.u32(3), a.u32(4), a.u32(5), false)
	if err != nil {
		return err
	}
	return from.rename(ctx, to)
}

func pathSymlink(ctx context.Context, g *Guest, m memory, a arguments) error {
	target, err := m.path(a.u32(0), a.u32(1))
	if err != nil {
		return err
	}
	if target == "" {
		return ErrnoNoent
	}
	p, err := g.walkArgs(ctx, m, rightPathSymlink, a.u32(2), a.u32(3), a.u32(4), false)
	if err != nil {
		return err
	}
	return p.symlink(target)
}

func pathReadlink(ctx context.Context, g *Guest, m memory, a arguments) error {
	b, err := m.bytes(a.u32(3), a.u32(4))
	if err != nil {
		return err
	}
	if _, err := m.bytes(a.u32(5), 4); err != nil {
		return err
	}
	p, err := g.walkArgs(ctx, m, rightPathReadlink, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	target, err := p.readlink()
	if err != nil {
		return err
	}
	return m.putU32(a.u32(5), uint32(copy(b, target)))
}
