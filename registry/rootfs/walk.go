package rootfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// walker walks through a folder like a program in the image: it follows links to where they lead in
// the image. It holds the directories on its path open, and must be closed.
type walker struct {
	root *os.Root
	// make says whether the walker creates missing directories.
	make bool

	names []string // its position: canonical, without links
	dirs  []*os.Root
	links int
}

// top is the directory where the walker is.
func (w *walker) top() *os.Root {
	if len(w.dirs) == 0 {
		return w.root
	}
	return w.dirs[len(w.dirs)-1]
}

// at is the position of the walker, as a path below the root; "." is the root.
func (w *walker) at() string {
	if len(w.names) == 0 {
		return "."
	}
	return strings.Join(w.names, "/")
}

func (w *walker) close() { w.upTo(0) }

// upTo goes up until only depth directories are left.
func (w *walker) upTo(depth int) {
	for len(w.dirs) > depth {
		_ = w.top().Close() // opened only for its names
		w.dirs, w.names = w.dirs[:len(w.dirs)-1], w.names[:len(w.names)-1]
	}
}

// enter walks from the current position to the directory name.
func (w *walker) enter(name string) error {
	rest := name
	for rest != "" {
		var next string
		next, rest, _ = strings.Cut(rest, "/")
		switch next {
		case "", ".":
		case "..":
			w.upTo(max(len(w.dirs)-1, 0))
		default:
			target, err := w.step(next)
			if err != nil {
				return err
			}
			if len(target)+len(rest) > 2*maxPath {
				return invalid("the links on the way to %.100q make a path that is too long", name)
			}
			if target != "" {
				rest = target + "/" + rest
			}
		}
	}
	return nil
}

// step enters the directory with this name. If the name is a link, it returns the link's target.
func (w *walker) step(name string) (target string, err error) {
	info, err := w.top().Lstat(name)
	if errors.Is(err, fs.ErrNotExist) && w.make {
		if err := w.top().Mkdir(name, 0o755); err != nil {
			return "", err
		}
	} else if err != nil {
		return "", err
	} else if info.Mode()&fs.ModeSymlink != 0 {
		return w.follow(name)
	} else if !info.IsDir() {
		return "", invalid("%.200q is a directory for one file and none for another", path.Join(w.at(), name))
	}
	if len(w.dirs) >= maxDepth || len(w.at())+len(name) >= maxPath {
		return "", invalid("%.100q… lies too deep", w.at())
	}
	dir, err := w.top().OpenRoot(name)
	if err != nil {
		return "", err
	}
	w.dirs, w.names = append(w.dirs, dir), append(w.names, name)
	return "", nil
}

func (w *walker) follow(name string) (string, error) {
	if w.links++; w.links > maxLinks {
		return "", invalid("too many symbolic links lead to %.200q", path.Join(w.at(), name))
	}
	target, err := w.top().Readlink(name)
	if err != nil {
		return "", err
	}
	if path.IsAbs(target) {
		w.upTo(0)
	}
	return target + "/.", nil // never empty
}

// find returns the canonical path, below the root, to which name leads. It follows the last
// component, too.
func find(root *os.Root, name string) (string, error) {
	w := walker{root: root}
	defer w.close()
	rest := strings.Trim(name, "/")
	for {
		dir, last := path.Split(rest)
		if err := w.enter(dir); err != nil {
			return "", err
		}
		if last == "" || last == "." || last == ".." {
			return "", fmt.Errorf("%s: %w", name, fs.ErrNotExist) // no file has such a name
		}
		info, err := w.top().Lstat(last)
		switch {
		case err != nil:
			return "", err
		case info.Mode()&fs.ModeSymlink == 0:
			return path.Join(w.at(), last), nil
		}
		target, err := w.follow(last)
		if err != nil {
			return "", err
		}
		rest = strings.TrimRight(strings.TrimSuffix(target, "/."), "/")
	}
}
