package preview1

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Flags of path_open (oflags).
const (
	openCreate = 1 << iota
	openDirectoryOnly
	openExclusive
	openTruncate
	allOpenFlags = 1<<iota - 1
)

// opening is what a guest requests from path_open.
type opening struct {
	oflags     uint16
	fdflags    uint16
	rights     uint64
	inheriting uint64
}

func pathOpen(ctx context.Context, g *Guest, m memory, a arguments) error {
	o := opening{oflags: a.u16(4), rights: a.u64(5), inheriting: a.u64(6), fdflags: a.u16(7)}
	const createDirectory = openCreate | openDirectoryOnly
	if o.oflags&^allOpenFlags != 0 || o.fdflags&^allFDFlags != 0 || o.oflags&createDirectory == createDirectory {
		return ErrnoInval
	}
	if _, err := m.bytes(a.u32(8), 4); err != nil {
		return err
	}
	dir, d, err := g.fds.directory(a.u32(0), rightPathOpen)
	if err != nil {
		return err
	}
	if err := o.allowed(d); err != nil {
		return err
	}
	if o.rights&rightPathCreateFile != 0 {
		// Go's os.Root opens its directories without this right, and truncates files below them. So
		// a directory in which files may be made has it. A guest that does not want it can remove
		// it (fd_fdstat_set_rights).
		o.rights |= rightPathFilestatSetSize & d.inheriting
	}
	name, err := m.path(a.u32(2), a.u32(3))
	if err != nil {
		return err
	}
	object, err := dir.Open(ctx, name, o.host(a.u32(1)))
	if err != nil {
		return err
	}
	return m.putU32(a.u32(8), g.fds.add(o.descriptor(object)))
}

// allowed returns an error if the rights of the directory do not allow the opening. Some guests
// request rights that no file or directory has; they do not get them.
func (o opening) allowed(dir *descriptor) error {
	const known = dirRights | fileRights
	switch {
	case (o.rights|o.inheriting)&known&^dir.inheriting != 0,
		o.oflags&openCreate != 0 && dir.rights&rightPathCreateFile == 0,
		o.oflags&openTruncate != 0 && dir.rights&rightPathFilestatSetSize == 0:
		return ErrnoNotcapable
	}
	return nil
}

// host translates the opening to the host's options.
func (o opening) host(lookup uint32) wasi.Opening {
	return given(lookup&lookupFollow != 0, wasi.Follow) |
		given(o.rights&rightFDRead != 0, wasi.Read) |
		given(o.rights&rightFDWrite != 0, wasi.Write) |
		given(o.oflags&openCreate != 0, wasi.Create) |
		given(o.oflags&openDirectoryOnly != 0, wasi.OnlyDirectory) |
		given(o.oflags&openExclusive != 0, wasi.Exclusive) |
		given(o.oflags&openTruncate != 0, wasi.Truncate) |
		given(o.fdflags&flagAppend != 0, wasi.Append) |
		given(o.fdflags&flagDsync != 0, wasi.DataSync) |
		given(o.fdflags&(flagSync|flagRsync) != 0, wasi.Sync)
}

func given(asked bool, o wasi.Opening) wasi.Opening {
	if asked {
		return o
	}
	return 0
}

// descriptor is the guest's descriptor for the opened object.
func (o opening) descriptor(object wasi.Object) *descriptor {
	d := &descriptor{object: object, flags: o.fdflags}
	if _, ok := object.(*wasi.Directory); ok {
		d.rights, d.inheriting = o.rights&dirRights, o.inheriting&(dirRights|fileRights)
	} else {
		d.rights = o.rights & fileRights
	}
	return d
}
