package wasi

import "context"

// lookupFollow is the flag of a lookup that follows a link at the end of the path.
const lookupFollow = 1

// walkArgs walks the path that the arguments from i on name: a directory, a pointer and a length.
func (g *Guest) walkArgs(m memory, fd, ptr, n uint32, follow bool) (place, error) {
	dir, _, err := g.fds.directory(fd)
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
	p, err := g.walkArgs(m, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.mkdir()
}

func pathRemoveDirectory(_ context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(m, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.rmdir()
}

func pathUnlinkFile(_ context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(m, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	return p.unlink()
}

func pathFilestatGet(_ context.Context, g *Guest, m memory, a arguments) error {
	p, err := g.walkArgs(m, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	if p.info == nil {
		return ErrnoNoent
	}
	return statOf(p.info).put(m, a.u32(4))
}

func pathFilestatSetTimes(_ context.Context, g *Guest, m memory, a arguments) error {
	times, err := newTimes(a.u64(4), a.u64(5), a.u16(6))
	if err != nil {
		return err
	}
	p, err := g.walkArgs(m, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	return p.setTimes(times)
}

func pathLink(_ context.Context, g *Guest, m memory, a arguments) error {
	from, err := g.walkArgs(m, a.u32(0), a.u32(2), a.u32(3), a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	to, err := g.walkArgs(m, a.u32(4), a.u32(5), a.u32(6), false)
	if err != nil {
		return err
	}
	return from.link(to)
}

func pathRename(_ context.Context, g *Guest, m memory, a arguments) error {
	from, err := g.walkArgs(m, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	to, err := g.walkArgs(m, a.u32(3), a.u32(4), a.u32(5), false)
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
	p, err := g.walkArgs(m, a.u32(2), a.u32(3), a.u32(4), false)
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
	p, err := g.walkArgs(m, a.u32(0), a.u32(1), a.u32(2), false)
	if err != nil {
		return err
	}
	target, err := p.readlink()
	if err != nil {
		return err
	}
	return m.putU32(a.u32(5), uint32(copy(b, target)))
}
