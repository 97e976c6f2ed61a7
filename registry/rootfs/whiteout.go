package rootfs

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"path"
	"strings"
)

// Names by which a layer hides what lower layers have (OCI image specification, "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	metadataPrefix = ".wh..wh." // of AUFS, which has more of them than the specification
	opaqueName     = ".wh..wh..opq"
)

// whiteout hides what the entry base in the directory dir stands for.
func (u *unpacker) whiteout(dir, base string) error {
	if strings.HasPrefix(base, metadataPrefix) && base != opaqueName {
		return nil
	}
	hides := strings.TrimPrefix(base, whiteoutPrefix)
	if hides == "" || hides == "." || hides == ".." {
		return invalid("it hides nothing that can be")
	}
	defer u.leave() // it may be what leads here that goes
	u.walker.make = false
	err := u.goTo(dir)
	u.walker.make = true
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if base != opaqueName {
		return u.hide(path.Join(u.walker.at(), hides))
	}
	return u.hideBelow(u.walker.at())
}

// hide removes what lower layers have at at.
func (u *unpacker) hide(at string) error {
	if !u.written[maphash.String(u.seed, at)] {
		return removeAt(u.walker.root, at)
	}
	info, err := u.walker.root.Lstat(at)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	return u.hideBelow(at)
}

// hideBelow removes what lower layers have in the directory at at. That is done once: what comes
// to be there later is of the layer itself.
func (u *unpacker) hideBelow(at string) error {
	key := maphash.String(u.seed, at)
	if u.hidden[key] {
		return nil
	}
	u.hidden[key] = true
	entries, err := fs.ReadDir(u.walker.root.FS(), at)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := u.hide(path.Join(at, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}
