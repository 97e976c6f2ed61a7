package rootfs

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/filetree"
)

// Unpack applies layers, the lowest first, to the empty folder dir. It applies each layer as soon
// as it is ready. After an error the content of dir is useless. It returns an error of ctx
// unchanged.
func Unpack(ctx context.Context, dir string, layers []Layer, limits Limits) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // opened only for its names
	u := &unpacker{
		walker: walker{root: root, make: true}, limits: limits,
		tars: limits.Bytes, files: limits.Bytes, entries: limits.Entries, names: maxNames,
		seed: maphash.MakeSeed(), buffer: make([]byte, 64<<10), times: map[string]time.Time{},
	}
	defer u.walker.close()
	for i, layer := range layers {
		err := u.layer(ctx, layer)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("unpacking layer %d of %d: %w", i+1, len(layers), err)
		}
	}
	return u.setTimes()
}

// unpacker applies the layers of one image.
type unpacker struct {
	walker walker
	at     string // the name in the tar that led the walker to its position; empty if that name may not be valid any more
	buffer []byte
	times  map[string]time.Time // of directories, by path; set at the end, because a new file in a directory changes its time
	seed   maphash.Seed

	limits      Limits
	tars, files int64 // bytes left for the tars, and for the files in them: a sparse file is larger than its tar
	entries     int   // entries left
	names       int   // bytes left for names

	// These are for the current layer. Only a hash of each path is kept. An equal hash of two paths
	// is less likely than a disk error with the same effect.
	written map[uint64]bool // paths at or below which the layer has something
	hidden  map[uint64]bool // paths below which the layer has hidden the content of lower layers
}

func (u *unpacker) layer(ctx context.Context, layer Layer) error {
	if layer.Ready != nil {
		select {
		case <-layer.Ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s, err := openLayer(layer, &u.tars)
	if err != nil {
		return err
	}
	defer s.Close()                                               //nolint:errcheck // the file was only read
	defer context.AfterFunc(ctx, func() { _ = s.file.Close() })() // then reading fails
	if err := u.apply(s); err != nil {
		return err
	}
	return s.finish(layer.DiffID)
}

// apply applies the entries of a layer.
func (u *unpacker) apply(s *stream) error {
	u.written, u.hidden = map[uint64]bool{}, map[uint64]bool{}
	u.leave()
	r := tar.NewReader(s)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unreadable(err)
		}
		if err := u.entry(header, r); err != nil {
			return fmt.Errorf("%.200q: %w", header.Name, err)
		}
	}
}

// unreadable classes an error of reading a tar, unless it has a class or comes from the disk.
func unreadable(err error) error {
	var disk *fs.PathError
	if errors.Is(err, ErrInvalid) || errors.Is(err, ErrTooLarge) || errors.As(err, &disk) {
		return err
	}
	return invalid("reading the tar: %v", err)
}

// entry applies one entry of a layer.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	u.entries--
	u.names -= len(h.Name) + len(h.Linkname)
	switch {
	case u.entries < 0:
		return tooLarge("it has more than %d files", u.limits.Entries)
	case u.names < 0:
		return tooLarge("the names of its files have more than %d bytes", maxNames)
	case h.Typeflag == tar.TypeXGlobalHeader:
		return nil
	}
	name, err := checked(h.Name)
	if err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return invalid("the image's root can only be a directory")
		}
		u.times[name] = h.ModTime
		return nil
	}
	dir, base := path.Split(name)
	if strings.HasPrefix(base, whiteoutPrefix) {
		return u.whiteout(dir, base)
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeReg, tar.TypeGNUSparse, tar.TypeSymlink, tar.TypeLink:
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return nil // see doc.go
	default:
		return invalid("it is an entry of the unknown type %q", h.Typeflag)
	}
	if err := u.goTo(dir); err != nil {
		return err
	}
	if err := u.makeRoom(base, h.Typeflag == tar.TypeDir); err != nil {
		return err
	}
	u.mark(base)
	switch h.Typeflag {
	case tar.TypeDir:
		return u.directory(base, h)
	case tar.TypeSymlink:
		if h.Linkname == "" || len(h.Linkname) > maxPath {
			return invalid("a symbolic link to %.100q", h.Linkname)
		}
		return u.walker.top().Symlink(h.Linkname, base) // the target does not matter: it is followed only in the image
	case tar.TypeLink:
		return u.link(base, h.Linkname)
	default:
		return u.file(base, h, content)
	}
}

// checked returns a tar's name in its shortest form; "." is the root.
func checked(name string) (string, error) {
	switch {
	case len(name) > maxPath:
		return "", invalid("its name has %d bytes, and may have %d", len(name), maxPath)
	case path.IsAbs(name):
		return "", invalid("its name is absolute")
	case strings.IndexByte(name, 0) >= 0:
		return "", invalid("its name has a zero byte")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", invalid("its name has a %q in it", "..")
		}
	}
	return path.Clean(name), nil
}

// goTo walks to the directory that a tar calls dir, and makes the missing directories on the way.
func (u *unpacker) goTo(dir string) error {
	if dir == "" {
		dir = "."
	}
	if dir == u.at {
		return nil
	}
	u.leave()
	if err := u.walker.enter(dir); err != nil {
		return err
	}
	u.at = dir
	return nil
}

// leave goes back to the root, because the names on the way may mean something else from now on.
func (u *unpacker) leave() {
	u.walker.upTo(0)
	u.walker.links, u.at = 0, ""
}

// makeRoom removes what has this name in the walker's directory. It keeps a directory if the new
// entry is a directory, too.
func (u *unpacker) makeRoom(base string, forDir bool) error {
	info, err := u.walker.top().Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.IsDir() && forDir:
		return nil
	case err != nil:
		return err
	}
	// The walker's own path does not lead through the removed entry, because the entry is below it.
	return removeAt(u.walker.top(), base)
}

// removeAt removes the path at, which is below root. An os.Root would hold one descriptor for each
// level of the removed tree.
func removeAt(root *os.Root, at string) error {
	dir, err := root.Open(path.Dir(at))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer dir.Close() //nolint:errcheck // opened only for its names
	return filetree.RemoveAt(context.Background(), dir, path.Base(at))
}

// mark notes that the layer has an entry with this name in the walker's directory.
func (u *unpacker) mark(base string) {
	for at := path.Join(u.walker.at(), base); at != "."; at = path.Dir(at) {
		key := maphash.String(u.seed, at)
		if u.written[key] {
			return
		}
		u.written[key] = true
	}
}

// Permissions that the owner, which is the agent, must have for all files. The setuid bit and
// similar bits are removed.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

func (u *unpacker) directory(base string, h *tar.Header) error {
	top := u.walker.top()
	if err := top.Mkdir(base, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	u.times[path.Join(u.walker.at(), base)] = h.ModTime
	return top.Chmod(base, fs.FileMode(h.Mode)&fs.ModePerm|dirMode)
}

func (u *unpacker) file(base string, h *tar.Header, content io.Reader) (err error) {
	u.files -= h.Size
	if h.Size < 0 || u.files < 0 {
		return tooLarge("its files have more than %d bytes", u.limits.Bytes)
	}
	top := u.walker.top()
	f, err := top.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err == nil {
			err = top.Chtimes(base, h.ModTime, h.ModTime)
		}
	}()
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(content, h.Size), u.buffer)
	if err != nil {
		return unreadable(err)
	}
	if n != h.Size {
		return invalid("the tar ends after %d of %d bytes of it", n, h.Size)
	}
	return f.Chmod(fs.FileMode(h.Mode)&fs.ModePerm | fileMode)
}

// link makes base another name for a file of the image.
func (u *unpacker) link(base, target string) error {
	name, err := checked(strings.TrimLeft(target, "/"))
	if err != nil || name == "." {
		return invalid("a hard link to %.200q", target)
	}
	from := walker{root: u.walker.root}
	defer from.close()
	dir, file := path.Split(name)
	if err := from.enter(dir); err != nil {
		return linkError(target, err)
	}
	info, err := from.top().Lstat(file)
	if err != nil {
		return linkError(target, err)
	}
	if !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return invalid("a hard link to %.200q, which is no file", target)
	}
	return u.walker.root.Link(path.Join(from.at(), file), path.Join(u.walker.at(), base))
}

func linkError(target string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return invalid("a hard link to %.200q, which is not in the image", target)
	}
	return err
}

// setTimes gives the directories that still exist the times from the tars.
func (u *unpacker) setTimes() error {
	for at, t := range u.times {
		w := walker{root: u.walker.root}
		err := w.enter(at)
		if err == nil && w.links == 0 {
			err = w.top().Chtimes(".", t, t)
		}
		w.close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrInvalid) {
			return err
		}
	}
	return nil
}
