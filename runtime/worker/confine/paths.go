package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Access is what a worker may do with the files at a path. A greater value is stricter.
type Access uint8

const (
	Writable Access = iota
	ReadOnly
	Hidden
)

func (a Access) String() string {
	switch a {
	case Writable:
		return "writable"
	case ReadOnly:
		return "read-only"
	}
	return "hidden"
}

// own are the paths that the package itself restricts.
var own = map[string]Access{
	"/proc":               ReadOnly,
	"/sys":                ReadOnly,
	"/sys/kernel/debug":   Hidden,
	"/sys/kernel/tracing": Hidden,
	"/dev":                Hidden,
	"/dev/null":           Writable,
	"/dev/zero":           Writable,
	"/dev/full":           Writable,
	"/dev/random":         Writable,
	"/dev/urandom":        Writable,
}

// pathNode is a path that has an access, or that leads to such a path.
type pathNode struct {
	set    bool
	access Access // valid if set
	below  map[string]*pathNode
}

// mark sets the access of a path. If it already has one, the stricter access is kept.
func (p *pathNode) mark(path string, a Access) {
	at := p
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		if at.below == nil {
			at.below = make(map[string]*pathNode)
		}
		next, ok := at.below[name]
		if !ok {
			next = &pathNode{}
			at.below[name] = next
		}
		at = next
	}
	if !at.set || a > at.access {
		at.set, at.access = true, a
	}
}

// strictest is the strictest access of the path and everything below it. outer is the access of its
// surroundings.
func (p *pathNode) strictest(outer Access) Access {
	if p.set {
		outer = p.access
	}
	found := outer
	for _, q := range p.below {
		found = max(found, q.strictest(outer))
	}
	return found
}

// pathTree is the tree of all paths from cfg and the package.
func pathTree(cfg *Config) (*pathNode, error) {
	root := &pathNode{set: true, access: cfg.Rest}
	for _, list := range []struct {
		paths  []string
		access Access
	}{{cfg.Hidden, Hidden}, {cfg.ReadOnly, ReadOnly}, {cfg.Writable, Writable}} {
		for _, path := range list.paths {
			real, err := resolve(path)
			if err != nil {
				return nil, err
			}
			root.mark(real, list.access)
		}
	}
	named := make(map[string]bool) // paths in cfg, which has priority
	for path := range own {
		named[path] = root.has(path)
	}
	for path, access := range own {
		if !named[path] {
			root.mark(path, access)
		}
	}
	return root, nil
}

// has reports whether an access is set for exactly this path.
func (p *pathNode) has(path string) bool {
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		next, ok := p.below[name]
		if !ok {
			return false
		}
		p = next
	}
	return p.set
}

// resolve follows the symbolic links in the part of a path that exists.
func resolve(path string) (string, error) {
	path = filepath.Clean(path)
	for missing := ""; ; {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, missing), nil
		}
		missed := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENOTDIR)
		if !missed || path == "/" {
			return "", fmt.Errorf("following %s: %w", path, err)
		}
		missing = filepath.Join(filepath.Base(path), missing)
		path = filepath.Dir(path)
	}
}

// rule allows an access to a file, or to everything below a directory. Rules only add: a rule
// cannot forbid what another one allows.
type rule struct {
	path   string
	access Access // never Hidden
	dir    bool
}

// rules are the rules for the tree, for the files that exist now.
func (p *pathNode) rules() ([]rule, error) {
	var all []rule
	err := p.collect(&all, "/", p.access, Hidden)
	return all, err
}

// collect adds the rules for the node at path. outer is the access of its surroundings, and given
// is what a rule above already allows.
func (p *pathNode) collect(all *[]rule, path string, outer, given Access) error {
	holds := outer
	if p.set {
		holds = p.access
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // if a worker cannot see a path, it needs no rule
	}
	if err != nil {
		return fmt.Errorf("looking at a path: %w", err)
	}
	if a := p.strictest(outer); a < given {
		*all = append(*all, rule{path, a, info.IsDir()})
		given = a
	}
	if !info.IsDir() {
		return nil
	}
	if holds < given {
		// A path below is stricter, so a rule for the whole directory would allow too much. Each of
		// the other entries gets its own rule.
		if err := p.siblings(all, path, holds); err != nil {
			return err
		}
	}
	for name, next := range p.below {
		if err := next.collect(all, filepath.Join(path, name), holds, given); err != nil {
			return err
		}
	}
	return nil
}

// siblings adds rules for those entries of a directory that have no access of their own. A symbolic
// link gets no rule, because the rule would be for the link's target.
func (p *pathNode) siblings(all *[]rule, dir string, a Access) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil // entries that cannot be listed get no rule, and the worker cannot reach them
	}
	if err != nil {
		return fmt.Errorf("listing what is beside a hidden path: %w", err)
	}
	for _, e := range entries {
		if _, ok := p.below[e.Name()]; ok || e.Type()&fs.ModeSymlink != 0 {
			continue
		}
		*all = append(*all, rule{filepath.Join(dir, e.Name()), a, e.IsDir()})
	}
	return nil
}
