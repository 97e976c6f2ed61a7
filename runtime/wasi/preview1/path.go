package preview1

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// lookupFollow is the lookup flag that makes a call follow a link at the end of the path.
const lookupFollow = 1

// pathArgs returns the directory of descriptor fd, which must have the right, and the path at ptr.
func (g *Guest) pathArgs(m memory, right uint64, fd, ptr, n uint32) (*wasi.Directory, string, error) {
	dir, _, err := g.fds.directory(fd, right)
	if err != nil {
		return nil, "", err
	}
	path, err := m.path(ptr, n)
	return dir, path, err
}

func pathCreateDirectory(ctx context.Context, g *Guest, m memory, a arguments) error {
	dir, path, err := g.pathArgs(m, rightPathCreateDirectory, a.u32(0), a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	return dir.Mkdir(ctx, path)
}

func pathRemoveDirectory(ctx context.Context, g *Guest, m memory, a arguments) error {
	dir, path, err := g.pathArgs(m, rightPathRemoveDirectory, a.u32(0), a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	return dir.Rmdir(ctx, path)
}

func pathUnlinkFile(ctx context.Context, g *Guest, m memory, a arguments) error {
	dir, path, err := g.pathArgs(m, rightPathUnlinkFile, a.u32(0), a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	return dir.Unlink(ctx, path)
}

func pathFilestatGet(ctx context.Context, g *Guest, m memory, a arguments) error {
	dir, path, err := g.pathArgs(m, rightPathFilestatGet, a.u32(0), a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	st, err := dir.StatPath(ctx, path, a.u32(1)&lookupFollow != 0)
	if err != nil {
		return err
	}
	return m.putStat(a.u32(4), st)
}

func pathFilestatSetTimes(ctx context.Context, g *Guest, m memory, a arguments) error {
	times, err := newTimes(a.u64(4), a.u64(5), a.u16(6))
	if err != nil {
		return err
	}
	dir, path, err := g.pathArgs(m, rightPathFilestatSetTimes, a.u32(0), a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	return dir.SetTimesPath(ctx, path, a.u32(1)&lookupFollow != 0, times)
}

func pathLink(ctx context.Context, g *Guest, m memory, a arguments) error {
	from, path, err := g.pathArgs(m, rightPathLinkSource, a.u32(0), a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	to, name, err := g.pathArgs(m, rightPathLinkTarget, a.u32(4), a.u32(5), a.u32(6))
	if err != nil {
		return err
	}
	return from.Link(ctx, path, a.u32(1)&lookupFollow != 0, to, name)
}

func pathRename(ctx context.Context, g *Guest, m memory, a arguments) error {
	from, path, err := g.pathArgs(m, rightPathRenameSource, a.u32(0), a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	to, name, err := g.pathArgs(m, rightPathRenameTarget, a.u32(3), a.u32(4), a.u32(5))
	if err != nil {
		return err
	}
	return from.Rename(ctx, path, to, name)
}

func pathSymlink(ctx context.Context, g *Guest, m memory, a arguments) error {
	target, err := m.path(a.u32(0), a.u32(1))
	if err != nil {
		return err
	}
	if target == "" {
		return ErrnoNoent
	}
	dir, path, err := g.pathArgs(m, rightPathSymlink, a.u32(2), a.u32(3), a.u32(4))
	if err != nil {
		return err
	}
	return dir.Symlink(ctx, target, path)
}

func pathReadlink(ctx context.Context, g *Guest, m memory, a arguments) error {
	b, err := m.bytes(a.u32(3), a.u32(4))
	if err != nil {
		return err
	}
	if _, err := m.bytes(a.u32(5), 4); err != nil {
		return err
	}
	dir, path, err := g.pathArgs(m, rightPathReadlink, a.u32(0), a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	target, err := dir.Readlink(ctx, path)
	if err != nil {
		return err
	}
	return m.putU32(a.u32(5), uint32(copy(b, target)))
}
