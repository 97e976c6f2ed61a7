package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// entryStream is the resource directory-entry-stream of wasi:filesystem. It uses the directory of
// the descriptor that it came from, and remembers where it is.
type entryStream struct {
	host   *Host
	of     *descriptor.Descriptor
	dir    *wasi.Directory // the same
	cookie uint64          // of the next entry
	atEnd  bool
}

// ReadDirectory implements bindings.Descriptor.
func (f *file) ReadDirectory(context.Context) (bindings.DirectoryEntryStream, error) {
	dir, err := f.of.Directory()
	if err != nil {
		return nil, fileError(err)
	}
	if f.host.take(entryStreams) != nil {
		return nil, bindings.FilesystemErrorCodeInsufficientMemory
	}
	return &entryStream{host: f.host, of: use(f.of), dir: dir}, nil
}

// Drop implements typed.Resource.
func (s *entryStream) Drop() {
	s.host.done(s.of)
	s.host.give(entryStreams)
}

// ReadDirectoryEntry implements bindings.DirectoryEntryStream. It leaves out `.` and `..`. An entry
// whose name is not UTF-8 is an error, and the next call returns the entry after it.
func (s *entryStream) ReadDirectoryEntry(ctx context.Context) (next typed.Option[bindings.DirectoryEntry], err error) {
	if s.atEnd {
		return next, nil
	}
	err = s.dir.Entries(ctx, s.cookie, func(e wasi.Entry) bool {
		s.cookie = e.Next
		if e.Name == "." || e.Name == ".." {
			return true
		}
		next = typed.Some(bindings.DirectoryEntry{Type: fileTypes[e.Type], Name: e.Name})
		return false
	})
	switch {
	case err != nil:
	case !next.Is:
		s.atEnd = true
	default:
		_, err = descriptor.Text(next.Value.Name)
	}
	if err != nil {
		return typed.Option[bindings.DirectoryEntry]{}, fileError(err)
	}
	return next, nil
}
