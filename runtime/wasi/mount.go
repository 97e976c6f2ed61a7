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

// Mount shows a directory or a file of the host at a path of the guest.
type Mount struct {
	Host     string // absolute path on the host, which exists and leads through no symbolic link
	Guest    string // absolute, clean path in the guest
	ReadOnly bool
}

// namespace is the guest's file tree: mounts at canonical guest paths, in which no component is a link.
type namespace struct {
	mounts map[string]*mount
	// above has every guest path that is a strict ancestor of a mount point, with the names that the
	// mounts give it. Such a directory is shown even where the mount that it lies in lacks it.
	above map[string]map[string]bool
	guest *Guest
	paths int      // bytes of the paths of directories that are open
	list  *listing // made when a directory is first listed

	fileSystems fileSystems
}

// mount is one Mount. Its root is opened when it is first used: most guests use few of theirs.
type mount struct {
	host     string
	guest    string
	readOnly bool
	file     string // the file's name below root where the host path is a file
	root     int    // the directory, open for its names; -1 until it is used
}

func newNamespace(g *Guest, list []Mount) (*namespace, error) {
	ns := &namespace{mounts: map[string]*mount{}, above: map[string]map[string]bool{}, guest: g, fileSystems: fileSystems{}}
	sorted := append([]Mount(nil), list...)
	// Outer mounts first: where an inner one belongs may depend on links in the outer one.
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
		return fmt.Errorf("mount at %s: %w", m.Guest, &os.PathError{Op: "open", Path: host, Err: err})
	}
	mnt := &mount{host: host, guest: m.Guest, readOnly: m.ReadOnly, root: -1}
	if !isDir {
		mnt.host, mnt.file = filepath.Split(host)
	}
	if m.Guest != "/" {
		if mnt.guest, err = ns.canonical(m.Guest); err != nil {
			return fmt.Errorf("mount at %s: %w", m.Guest, err)
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

// materialise makes the directory that holds a mount point, so that the guest finds an ordinary one, in which
// it can make files. Where that cannot be (a read-only mount) the directory is only shown.
func (ns *namespace) materialise(mountPoint string) {
	if ns.mounts["/"] == nil || mountPoint == "/" {
		return
	}
	dir := ns.locate(path.Dir(mountPoint))
	if dir.mnt.readOnly || dir.mnt.file != "" || dir.rel == "." {
		return
	}
	if root, err := dir.handle(); err == nil {
		_ = mkdirBelow(root, dir.rel) // shown all the same
	}
}

// canonical is the mount point that guest names: links on the way to it, such as /var/run in many images,
// are resolved; what is missing is taken literally.
func (ns *namespace) canonical(guest string) (string, error) {
	if ns.mounts["/"] == nil {
		return guest, nil // refused later, for want of a root
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

// locate is the location of a canonical guest path.
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

// pinned says that the canonical guest path is a mount point or lies above one, and so cannot be moved,
// replaced or removed.
func (ns *namespace) pinned(guest string) bool {
	return ns.mounts[guest] != nil || ns.above[guest] != nil
}

func (ns *namespace) close() error {
	var errs []error
	for _, m := range ns.mounts {
		if m.root >= 0 {
			errs = append(errs, unix.Close(m.root))
			m.root = -1
		}
	}
	return errors.Join(errs...)
}

// look says whether there is a directory at a path of the host, or something else. A symbolic link anywhere on the path is
// an error (ELOOP): guests may have put it there, and it could lead anywhere.
func look(host string) (isDir bool, err error) {
	fd, err := openHost(host, unix.O_PATH)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd) //nolint:errcheck // opened for its name only
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	return st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}

// openHost opens an absolute path of the host that leads through no link.
func openHost(path string, flags int) (int, error) {
	top, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(top) //nolint:errcheck // opened for its names only
	rel := strings.Trim(path, "/")
	if rel == "" {
		rel = "."
	}
	return openBelow(top, rel, flags, 0)
}

// open opens the directory that is mounted, or that holds the file that is. Its path had no link when the
// mount was made; one that was put there since is not followed.
func (m *mount) open() (int, error) {
	if m.root >= 0 {
		return m.root, nil
	}
	root, err := openHost(m.host, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, fmt.Errorf("open mount at %s: %w", m.guest, err)
	}
	m.root = root
	return root, nil
}
