package confine

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

// Versions of Landlock's interface (Linux 5.19 and 6.2).
const (
	abiRefer    = 2 // earlier ones refuse every rename from one directory to another
	abiTruncate = 3
)

// erratumSignals is the number of a fault mended: threads of one process could not signal each other, which both
// Go's scheduler and psx do (Documentation/userspace-api/landlock.rst, "Errata flags").
const erratumSignals = 1 << (2 - 1)

// What a rule allows for each access. Devices, sockets and pipes cannot be made, nothing executed, no device's
// ioctl called, and no unix socket reached, anywhere.
const (
	readFile  landlock.AccessFSSet = ll.AccessFSReadFile
	writeFile landlock.AccessFSSet = readFile | ll.AccessFSWriteFile | ll.AccessFSTruncate
	readDir   landlock.AccessFSSet = readFile | ll.AccessFSReadDir
	writeDir  landlock.AccessFSSet = writeFile | readDir | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
		ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSym | ll.AccessFSRefer
)

// restrict confines the process to what cfg allows. An error with a View means that it is confined less than it should be.
func restrict(cfg *Config) (View, error) {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return View{}, fmt.Errorf("the kernel has no Landlock: %w", err)
	}
	if abi < abiRefer {
		return View{}, fmt.Errorf("the kernel's Landlock (version %d) would forbid to move files between directories", abi)
	}
	tree, err := places(cfg)
	if err != nil {
		return View{}, err
	}
	rules, err := tree.rules()
	if err != nil {
		return View{}, err
	}
	view := View{granted: make(map[string]grant, len(rules))}
	var bound []landlock.Rule
	if cfg.Rest < Hidden {
		// Names are no secret, and volumes may be directories that lead to hidden places.
		bound = append(bound, landlock.PathAccess(ll.AccessFSReadDir, "/"))
	}
	for _, r := range rules {
		if view.grant(r) {
			bound = append(bound, landlock.PathAccess(r.rights(), r.path).IgnoreIfMissing())
		}
	}
	if err := handled().BestEffort().Restrict(bound...); err != nil {
		return View{}, fmt.Errorf("load the rules: %w", err)
	}
	if abi < abiTruncate {
		return view, fmt.Errorf("the kernel's Landlock (version %d) lets read-only files be truncated", abi)
	}
	return view, nil
}

// handled is all that Landlock is to refuse where no rule allows it.
func handled() landlock.Config {
	c := landlock.V9 // the first that knows every right to files
	c.HandledAccessNet = 0
	c.Scoped = ll.ScopeAbstractUnixSocket
	if mended, err := ll.LandlockGetErrata(); err == nil && mended&erratumSignals != 0 {
		c.Scoped |= ll.ScopeSignal
	}
	return c
}

func (r rule) rights() landlock.AccessFSSet {
	switch {
	case r.dir && r.access == Writable:
		return writeDir
	case r.dir:
		return readDir
	case r.access == Writable:
		return writeFile
	}
	return readFile
}

// View is what a confined process can reach.
type View struct {
	granted map[string]grant // nil: everything
}

var everything View

// grant is what a rule allows. Landlock's rules belong to files, not to names.
type grant struct {
	access      Access
	device, ino uint64
}

// grant notes a rule, and returns false if its file has gone.
func (v View) grant(r rule) bool {
	var at unix.Stat_t
	if err := unix.Lstat(r.path, &at); err != nil {
		return false
	}
	v.granted[r.path] = grant{r.access, uint64(at.Dev), at.Ino}
	return true
}

// Access is what Landlock lets the process do at a path, as the files lie now; permissions and read-only mounts may still be in
// the way. A path that was made or mounted beside a hidden one after Apply is Hidden. One that does not exist has the access of the
// directory that it would be in.
func (v View) Access(path string) (Access, error) {
	if v.granted == nil {
		return Writable, nil
	}
	if !filepath.IsAbs(path) {
		return Hidden, fmt.Errorf("confine: %q is not an absolute path", path)
	}
	path, err := resolve(path)
	if err != nil {
		return Hidden, fmt.Errorf("confine: %w", err)
	}
	found := Hidden
	for ; ; path = filepath.Dir(path) {
		if g, ok := v.granted[path]; ok && g.access < found {
			var at unix.Stat_t
			err := unix.Lstat(path, &at)
			if err != nil && !errors.Is(err, unix.ENOENT) {
				return Hidden, fmt.Errorf("confine: look at %s: %w", path, err)
			}
			if err == nil && g.device == uint64(at.Dev) && g.ino == at.Ino {
				found = g.access
			}
		}
		if path == "/" {
			return found, nil
		}
	}
}
