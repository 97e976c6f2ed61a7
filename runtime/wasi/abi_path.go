package wasi

import "context"

// lookupFollow is the flag of a lookup that follows a link at the end of the path.
const lookupFollow = 1

// walkArgs walks the path that the arguments from i on name: a directory, a pointer and a length.
// Its descriptor has the right.
func (g *Guest) walkArgs(m memory, right uint64, fd, ptr, n uint32, follow bool) (place, error) {
	dir, _, err := g.fds.directory(fd, right)
	if err != nil {
		return place{}, err
	}
	name, err := m.path(ptr, n)
	if err != nil {
		return place{}, err
	}
	return g.ns.walk(dir.place(), name, follow)
}

func pathCreateDirectory(_ context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(m, rightPathCreateDirectory, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.mkdir()
}

func pathRemoveDirectory(_ context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(m, rightPathRemoveDirectory, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.rmdir()
}

func pathUnlinkFile(_ context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(m, rightPathUnlinkFile, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.unlink()
}

func pathFilestatGet(_ context.Context, g *Guest, m memory, a arguments) error {
	dir, _, err := g.fds.directory(a.u32(0), rightPathFilestatGet)
	if err != nil {
		return err
	}
	name, err := m.path(a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	info, err := g.ns.attributes(dir, name, a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	return statOf(&info.Stat_t).put(m, a.u32(4))
}

// attributes are those of what a path of the guest leads to.
func (ns *namespace) attributes(dir *directory, name string, follow bool) (*attributes, error) {
	if p, ok := ns.direct(dir, name); ok {
		info, err := p.lstat()
		if err == nil && info == nil {
			return nil, ErrnoNoent
		}
		if err == nil && !(follow && info.isLink()) {
			return info, nil
		}
	}
	p, err := ns.walk(dir.place(), name, follow)
	if err != nil {
		return nil, err
	}
	if p.info == nil {
		return nil, ErrnoNoent
	}
	return p.info, nil
}

func pathFilestatSetTimes(_ context.Context, g *Guest, m memory, a arguments) error {
	times, err := newTimes(a.u64(4), a.u64(5), a.u16(6))
	if err != nil {
		return err
	}
	p, err := g.walkArgs(m, rightPathFilestatSetTimes, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	return p.setTimes(times)
}

func pathLink(_ context.Context, g *Guest, m memory, a arguments) error {
	from, err := g.walkArgs(m, rightPathLinkSource, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	to, err := g.walkArgs(m, rightPathLinkTarget, a.u32(4), a.u32(5), a.u32(6), false)
	if err != nil {
		return err
	}
	return from.link(to)
}

func pathRename(_ context.Context, g *Guest, m memory, a arguments) error {
	from, err := g.walkArgs(m, rightPathRenameSource, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	to, err := g.walkArgs(m, rightPathRenameTarget, a.u32(3), a.u32(4), a.u32(5), false)
	if err != nil {
		return err
	}
	return from.rename(to)
}

func pathSymlink(_ context.Context, g *Guest, m memory, a arguments) error {
	target, err := m.path(a.u32(0), a.u32(1))
	if err != nil {
		return err
	}
	if target == "" {
		return ErrnoNoent
	}
	p, err := g.walkArgs(m, rightPathSymlink, a.u32(2), a.u32(3), a.u32(4), false)
	if err != nil {
		return err
	}
	return p.symlink(target)
}

func pathReadlink(_ context.Context, g *Guest, m memory, a arguments) error {
	b, err := m.bytes(a.u32(3), a.u32(4))
	if err != nil {
		return err
	}
	if _, err := m.bytes(a.u32(5), 4); err != nil {
		return err
	}
	p, err := g.walkArgs(m, rightPathReadlink, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	target, err := p.readlink()
	if err != nil {
		return err
	}
	return m.putU32(a.u32(5), uint32(copy(b, target)))
}
