package preview1

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// TestEachFunctionNeedsItsRight calls each function without its right, and then with it.
func TestEachFunctionNeedsItsRight(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	c.write(c.mustOpen("file", openCreate, readWrite, 0), "text")
	c.want(nil, "path_symlink", addrPath, 4, 3, addrPath, 1) // "file" as the target, "f" as the name
	c.want(nil, "path_create_directory", 3, addrPath, 2)     // "fi"
	const all = dirRights | fileRights
	open := func(path string, oflags, rights uint64) uint64 {
		p, n := c.put(addrPath, path)
		c.want(nil, "path_open", 3, 0, p, n, oflags, rights, all, 0, addrResult)
		return uint64(c.u32(addrResult))
	}
	v, n := c.vec(1)
	p, size := c.put(addrPath, "file")
	for _, r := range []struct {
		dir   bool
		right uint64
		want  error // without the right
		name  string
		args  func(fd uint64) []uint64
	}{
		{false, rightFDRead, ErrnoBadf, "fd_read", func(fd uint64) []uint64 { return []uint64{fd, v, n, 0} }},
		{false, rightFDRead, ErrnoBadf, "fd_pread", func(fd uint64) []uint64 { return []uint64{fd, v, n, 0, 0} }},
		{false, rightFDWrite, ErrnoBadf, "fd_write", func(fd uint64) []uint64 { return []uint64{fd, v, n, 0} }},
		{false, rightFDWrite, ErrnoBadf, "fd_pwrite", func(fd uint64) []uint64 { return []uint64{fd, v, n, 0, 0} }},
		{false, rightFDSeek, ErrnoNotcapable, "fd_seek", func(fd uint64) []uint64 { return []uint64{fd, 1, 0, 0} }},
		{false, rightFDTell, ErrnoNotcapable, "fd_tell", func(fd uint64) []uint64 { return []uint64{fd, 0} }},
		{false, rightFDAdvise, ErrnoNotcapable, "fd_advise", func(fd uint64) []uint64 { return []uint64{fd, 0, 0, 0} }},
		{false, rightFDAllocate, ErrnoNotcapable, "fd_allocate", func(fd uint64) []uint64 { return []uint64{fd, 0, 9} }},
		{false, rightFDSync, ErrnoNotcapable, "fd_sync", func(fd uint64) []uint64 { return []uint64{fd} }},
		{false, rightFDDatasync, ErrnoNotcapable, "fd_datasync", func(fd uint64) []uint64 { return []uint64{fd} }},
		{false, rightFDFdstatSetFlags, ErrnoNotcapable, "fd_fdstat_set_flags", func(fd uint64) []uint64 { return []uint64{fd, flagAppend} }},
		{false, rightFDFilestatGet, ErrnoNotcapable, "fd_filestat_get", func(fd uint64) []uint64 { return []uint64{fd, 0} }},
		{false, rightFDFilestatSetSize, ErrnoNotcapable, "fd_filestat_set_size", func(fd uint64) []uint64 { return []uint64{fd, 4} }},
		{false, rightFDFilestatSetTimes, ErrnoNotcapable, "fd_filestat_set_times", func(fd uint64) []uint64 { return []uint64{fd, 0, 0, 0} }},
		{true, rightFDReaddir, ErrnoNotcapable, "fd_readdir", func(fd uint64) []uint64 { return []uint64{fd, addrData, 64, 0, 0} }},
		{true, rightFDSync, ErrnoNotcapable, "fd_sync", func(fd uint64) []uint64 { return []uint64{fd} }},
		{true, rightPathOpen, ErrnoNotcapable, "path_open", func(fd uint64) []uint64 { return []uint64{fd, 0, p, size, 0, 0, 0, 0, 0} }},
		{true, rightPathCreateFile, ErrnoNotcapable, "path_open", func(fd uint64) []uint64 { return []uint64{fd, 0, p, size, openCreate, 0, 0, 0, 0} }},
		{true, rightPathFilestatGet, ErrnoNotcapable, "path_filestat_get", func(fd uint64) []uint64 { return []uint64{fd, 0, p, size, addrData} }},
		{true, rightPathFilestatSetTimes, ErrnoNotcapable, "path_filestat_set_times", func(fd uint64) []uint64 { return []uint64{fd, 0, p, size, 0, 0, 0} }},
		{true, rightPathReadlink, ErrnoNotcapable, "path_readlink", func(fd uint64) []uint64 { return []uint64{fd, p, 1, addrData, 9, 0} }},
		{true, rightPathLinkSource, ErrnoNotcapable, "path_link", func(fd uint64) []uint64 { return []uint64{fd, 0, p, size, 3, p, 3} }},
		{true, rightPathLinkTarget, ErrnoNotcapable, "path_link", func(fd uint64) []uint64 { return []uint64{3, 0, p, size, fd, p + 1, 3} }},
		{true, rightPathUnlinkFile, ErrnoNotcapable, "path_unlink_file", func(fd uint64) []uint64 { return []uint64{fd, p, 3} }},
		{true, rightPathRenameSource, ErrnoNotcapable, "path_rename", func(fd uint64) []uint64 { return []uint64{fd, p + 1, 3, 3, p + 2, 2} }},
		{true, rightPathRenameTarget, ErrnoNotcapable, "path_rename", func(fd uint64) []uint64 { return []uint64{3, p + 2, 2, fd, p + 3, 1} }},
		{true, rightPathSymlink, ErrnoNotcapable, "path_symlink", func(fd uint64) []uint64 { return []uint64{p, size, fd, p, 3} }},
		{true, rightPathCreateDirectory, ErrnoNotcapable, "path_create_directory", func(fd uint64) []uint64 { return []uint64{fd, p + 1, 2} }},
		{true, rightPathRemoveDirectory, ErrnoNotcapable, "path_remove_directory", func(fd uint64) []uint64 { return []uint64{fd, p + 1, 2} }},
	} {
		path, oflags, rights, inheriting := "file", uint64(0), uint64(fileRights), uint64(0)
		if r.dir {
			path, oflags, rights, inheriting = ".", openDirectoryOnly, dirRights, all
		}
		with := open(path, oflags, rights)
		without := open(path, oflags, rights)
		c.want(nil, "fd_fdstat_set_rights", without, rights&^r.right, inheriting)
		c.put(addrPath, "file")
		c.want(r.want, r.name, r.args(without)...)
		c.want(nil, r.name, r.args(with)...)
		c.want(nil, "fd_close", with)
		c.want(nil, "fd_close", without)
	}
}

func TestRightsOnlyShrink(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	c.write(c.mustOpen("file", openCreate, readWrite, 0), "text")
	both := c.mustOpen("file", 0, readWrite, 0)
	c.want(nil, "fd_fdstat_set_rights", both, rightFDWrite, 0)
	c.want(ErrnoNotcapable, "fd_fdstat_set_rights", both, readWrite, 0)
	c.want(ErrnoNotcapable, "fd_fdstat_set_rights", both, rightFDWrite, rightFDRead)

	p, n := c.put(addrPath, ".")
	open := func(dir, oflags, rights, inheriting uint64) (uint64, error) {
		err := c.call("path_open", dir, 0, p, n, oflags, rights, inheriting, 0, addrResult)
		return uint64(c.u32(addrResult)), err
	}
	// For a directory that is open only for reading, no file below it can be opened with more
	// rights.
	dir, err := open(3, openDirectoryOnly, dirRights, rightFDRead|rightPathOpen)
	if err != nil {
		t.Fatal(err)
	}
	p, n = c.put(addrPath, "file")
	if _, err := open(dir, 0, readWrite, 0); err != ErrnoNotcapable {
		t.Errorf("for writing: %v", err)
	}
	if _, err := open(dir, 0, rightFDRead, rightFDWrite); err != ErrnoNotcapable {
		t.Errorf("to inherit writing: %v", err)
	}
	if fd, err := open(dir, 0, rightFDRead|rightSockShutdown|1<<40, 0); err != nil {
		t.Errorf("with rights that no file has: %v", err)
	} else if got := c.read(fd, 10); got != "text" {
		t.Errorf("read %q", got)
	}
	// The right to truncate can be removed, but only by a separate call.
	p, n = c.put(addrPath, ".")
	dir, err = open(3, openDirectoryOnly, rightPathOpen|rightPathCreateFile, dirRights|fileRights)
	if err != nil {
		t.Fatal(err)
	}
	p, n = c.put(addrPath, "file")
	if _, err := open(dir, openTruncate, rightFDWrite, 0); err != nil {
		t.Errorf("truncating as Go's os.Root does: %v", err)
	}
	c.want(nil, "fd_fdstat_set_rights", dir, rightPathOpen|rightPathCreateFile, dirRights|fileRights)
	if _, err := open(dir, openTruncate, rightFDWrite, 0); err != ErrnoNotcapable {
		t.Errorf("truncating without the right: %v", err)
	}
}
