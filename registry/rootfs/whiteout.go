package rootfs

import (
	"errors"
	"hash/maphash"
	"io/fs"
	"path"
	"strings"
)

// Names with which a layer hides the content of lower layers (OCI image specification,
// "Whiteouts").
const (
	whiteoutPrefix = ".wh."
	metadataPrefix = ".wh..wh." // of AUFS, which has more such names than the specification
	opaqueName     = ".wh..wh..opq"
)

// whiteout applies the whiteout entry base in the directory dir.
func (u *unpacker) whiteout(dir, base string) error {
	if strings.HasPrefix(base, metadataPrefix) && base != opaqueName {
		return nil
	}
	hides := strings.TrimPrefix(base, whiteoutPrefix)
	if hides == "" || hides == "." || hides == ".." {
		return invalid("it hides nothing that can be")
	}
	defer u.leave() // the whiteout may remove a directory on the walker's path
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

// hide removes what lower layers have at the path at.
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

// hideBelow removes what lower layers have in the directory at. It does this only once for each
// directory, because later content comes from the layer itself.
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
