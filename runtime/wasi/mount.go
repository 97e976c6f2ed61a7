package wasi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount shows a directory or a file of the host to the guest at a guest path.
type Mount struct {
	Host     string // absolute path on the host, which exists and contains no symbolic link
	Guest    string // absolute, clean path for the guest
	ReadOnly bool
}

// Tree is a file system for guests, which many of them may have at the same time: mounts at
// canonical guest paths. A canonical path contains no link. It does not change, and has nothing
// open.
type Tree struct {
	mounts map[string]*mount
	// above has each guest path above a mount point, with the names that the mounts add to it. Such
	// a directory is shown even if the mount around it does not have it.
	above map[string]map[string]bool
}

// NewTree checks mounts, and makes the directories of their mount points and the working directory,
// unless that is "". It is for guests that have all of this alike: what one of them changes in a
// directory that it may change, the others find so, and if it takes away the working directory, it
// is not made again.
func NewTree(mounts []Mount, workDir string) (*Tree, error) {
	ns, err := newNamespace(&Guest{}, mounts, workDir)
	if err != nil {
		return nil, err
	}
	return ns.Tree, ns.close()
}

// namespace is a Tree as one guest has it.
type namespace struct {
	*Tree
	// roots are the directories of the mounts, open for their names: -1 before the first use,
	// because most guests use few of their mounts.
	roots    []int
	guest    *Guest
	confined bool     // see Config.Confined
	paths    int      // total bytes of the paths of open directories
	list     *listing // made when a directory is first listed

	fileSystems fileSystems
}

// mount is one Mount.
type mount struct {
	number   int // in namespace.roots
	host     string
	guest    string
	readOnly bool
	file     string // the file's name below the root if the host path is a file
}

// newNamespace makes a Tree as a guest has it.
func newNamespace(g *Guest, list []Mount, workDir string) (*namespace, error) {
	ns, err := mountAll(g, list)
	if err != nil || workDir == "" {
		return ns, err
	}
	if err := ns.mkdirAll(workDir); err != nil {
		return nil, errors.Join(fmt.Errorf("working directory %s: %w", workDir, err), ns.close())
	}
	return ns, nil
}

func mountAll(g *Guest, list []Mount) (*namespace, error) {
	ns := &namespace{Tree: &Tree{mounts: map[string]*mount{}, above: map[string]map[string]bool{}}, guest: g}
	sorted := append([]Mount(nil), list...)
	// Outer mounts come first, because links in an outer one may affect the position of an inner
	// one.
	sort.SliceStable(sorted, func(i, j int) bool { return len(sorted[i].Guest) < len(sorted[j].Guest) })
	for _, m := range sorted {
		if err := ns.add(m); err != nil {
			return nil, errors.Join(err, ns.close())
		}
	}
	root := ns.mounts["/"]
	switch {
	case root == nil:
		return nil, errors.New(`no mount has the guest path "/"`)
	case root.file != "":
		return nil, fmt.Errorf(`the mount at "/" must be a directory, %s is a file`, root.host)
	}
	return ns, nil
}

func (ns *namespace) add(m Mount) error {
	if !path.IsAbs(m.Guest) || path.Clean(m.Guest) != m.Guest {
		return fmt.Errorf("mount %s: the guest path %q must be absolute and clean", m.Host, m.Guest)
	}
	if !filepath.IsAbs(m.Host) {
		return fmt.Errorf("mount at %s: the host path %q must be absolute", m.Guest, m.Host)
	}
	if len(m.Guest) >= MaxPath || strings.Count(m.Guest, "/") > MaxLevels {
		return fmt.Errorf("mount %s: the guest path has more than %d levels, or more than %d bytes", m.Host, MaxLevels, MaxPath-1)
	}
	host := filepath.Clean(m.Host)
	isDir, err := look(host)
	if err != nil {
		return fmt.Errorf("mounting at %s: %w", m.Guest, &os.PathError{Op: "open", Path: host, Err: err})
	}
	mnt := &mount{number: len(ns.mounts), host: host, guest: m.Guest, readOnly: m.ReadOnly}
	if !isDir {
		mnt.host, mnt.file = filepath.Split(host)
	}
	if m.Guest != "/" {
		if mnt.guest, err = ns.canonical(m.Guest); err != nil {
			return fmt.Errorf("mounting at %s: %w", m.Guest, err)
		}
	}
	if ns.mounts[mnt.guest] != nil {
		return fmt.Errorf("two mounts at %s", m.Guest)
	}
	ns.materialise(mnt.guest)
	ns.mounts[mnt.guest] = mnt
	for p := mnt.guest; p != "/"; p = path.Dir(p) {
		dir := path.Dir(p)
		if ns.above[dir] == nil {
			ns.above[dir] = map[string]bool{}
		}
		ns.above[dir][path.Base(p)] = true
	}
	return nil
}

// materialise makes the directory of a mount point, so that the guest gets an ordinary directory in
// which it can make files. If this is impossible (a read-only mount), the directory is only shown.
func (ns *namespace) materialise(mountPoint string) {
	if ns.mounts["/"] == nil || mountPoint == "/" {
		return
	}
	dir := ns.locate(path.Dir(mountPoint))
	if dir.mnt.readOnly || dir.mnt.file != "" || dir.rel == "." {
		return
	}
	if root, err := dir.handle(); err == nil {
		_ = mkdirBelow(root, dir.rel) // if it fails, the directory is shown anyway
	}
}

// canonical returns the canonical path of a mount point. Links on the way to it, such as /var/run
// in many images, are resolved. Missing names are used unchanged.
func (ns *namespace) canonical(guest string) (string, error) {
	if ns.mounts["/"] == nil {
		return guest, nil // it is refused later, because there is no root
	}
	parts := strings.Split(guest[1:], "/")
	at := ns.locate("/")
	for i, name := range parts {
		if i == len(parts)-1 {
			return path.Join(at.guest, name), nil
		}
		next, err := ns.walk(context.Background(), at, name, true)
		switch {
		case errors.Is(err, ErrLoop), err == nil && next.info == nil:
			return path.Join(at.guest, path.Join(parts[i:]...)), nil
		case err != nil:
			return "", err
		}
		at = next
	}
	return at.guest, nil
}

// locate returns the location of a canonical guest path.
func (ns *namespace) locate(guest string) location {
	for p := guest; ; p = path.Dir(p) {
		if m := ns.mounts[p]; m != nil {
			rel := "."
			if p != guest {
				rel = strings.TrimPrefix(guest[len(p):], "/")
			}
			if m.file != "" {
				rel = m.file
			}
			return location{ns: ns, guest: guest, mnt: m, rel: rel}
		}
	}
}

// pinned reports whether the canonical guest path is a mount point or is above one. Such a path
// cannot be moved, replaced or removed.
func (ns *namespace) pinned(guest string) bool {
	return ns.mounts[guest] != nil || ns.above[guest] != nil
}

func (ns *namespace) close() error {
	var errs []error
	for i, root := range ns.roots {
		if root >= 0 {
			errs = append(errs, unix.Close(root))
			ns.roots[i] = -1
		}
	}
	return errors.Join(errs...)
}

// look reports whether a path of the host is a directory. A symbolic link anywhere on the path is
// an error (ELOOP), because a guest may have made it, and it could lead anywhere.
func look(host string) (isDir bool, err error) {
	fd, err := openHost(host, unix.O_PATH)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd) //nolint:errcheck // it was opened only for its name
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	return st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}

// openHost opens an absolute path of the host that contains no link.
func openHost(path string, flags int) (int, error) {
	top, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(top) //nolint:errcheck // it was opened only for its names
	rel := strings.Trim(path, "/")
	if rel == "" {
		rel = "."
	}
	return openBelow(top, rel, flags, 0)
}

// open opens the mounted directory, or the directory of the mounted file. Its path had no link when
// the mount was made. A link that was added later is not followed.
func (ns *namespace) open(m *mount) (int, error) {
	for len(ns.roots) <= m.number {
		ns.roots = append(ns.roots, -1)
	}
	if root := ns.roots[m.number]; root >= 0 {
		return root, nil
	}
	root, err := openHost(m.host, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, fmt.Errorf("opening the mount at %s: %w", m.guest, err)
	}
	ns.roots[m.number] = root
	return root, nil
}
