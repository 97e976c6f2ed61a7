package confine

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Versions of Landlock's interface (Linux 5.19 and 6.2).
const (
	abiRefer    = 2 // earlier versions refuse every rename from one directory to another
	abiTruncate = 3
)

// erratumSignals is the flag of a kernel where this fault is repaired: threads of one process could
// not signal each other. Go's scheduler and psx need this
// (Documentation/userspace-api/landlock.rst, "Errata flags").
const erratumSignals = 1 << (2 - 1)

// What a rule allows for each access. No rule allows a worker to make a device, socket or pipe, to
// execute a file, to call a device's ioctl, or to connect to a unix socket.
const (
	readFile  landlock.AccessFSSet = ll.AccessFSReadFile
	writeFile landlock.AccessFSSet = readFile | ll.AccessFSWriteFile | ll.AccessFSTruncate
	readDir   landlock.AccessFSSet = readFile | ll.AccessFSReadDir
	writeDir  landlock.AccessFSSet = writeFile | readDir | ll.AccessFSRemoveDir | ll.AccessFSRemoveFile |
		ll.AccessFSMakeDir | ll.AccessFSMakeReg | ll.AccessFSMakeSym | ll.AccessFSRefer
)

// restrict confines the process to what cfg allows. The error says what it could not confine.
func restrict(cfg *Config) error {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return fmt.Errorf("the kernel has no Landlock: %w", err)
	}
	if abi < abiRefer {
		return fmt.Errorf("the kernel's Landlock (version %d) would forbid to move files between directories", abi)
	}
	tree, err := pathTree(cfg)
	if err != nil {
		return err
	}
	rules, err := tree.rules()
	if err != nil {
		return err
	}
	var bound []landlock.Rule
	if cfg.Rest < Hidden {
		// Names are not secret, and volumes may be directories that lead to hidden paths.
		bound = append(bound, landlock.PathAccess(ll.AccessFSReadDir, "/"))
	}
	for _, r := range rules {
		bound = append(bound, landlock.PathAccess(r.rights(), r.path).IgnoreIfMissing())
	}
	if err := handled().BestEffort().Restrict(bound...); err != nil {
		return fmt.Errorf("loading the rules: %w", err)
	}
	if abi < abiTruncate {
		return fmt.Errorf("the kernel's Landlock (version %d) lets read-only files be truncated", abi)
	}
	return nil
}

// handled is everything that Landlock refuses unless a rule allows it.
func handled() landlock.Config {
	c := landlock.V9 // the first version that knows every right to files
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
