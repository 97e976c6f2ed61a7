package p2

import (
	"context"
	"unicode/utf8"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// entryStream is the resource directory-entry-stream of wasi:filesystem. It uses the directory of the
// descriptor that it came from, and remembers where it is.
type entryStream struct {
	host   *Host
	of     *shared
	cookie uint64 // of the next entry
	atEnd  bool
}

// ReadDirectory implements bindings.Descriptor.
func (d *descriptor) ReadDirectory(context.Context) (bindings.DirectoryEntryStream, error) {
	if d.dir == nil {
		return nil, bindings.FilesystemErrorCodeNotDirectory
	}
	if d.host.take(entryStreams) != nil {
		return nil, bindings.FilesystemErrorCodeInsufficientMemory
	}
	return &entryStream{host: d.host, of: d.of.use()}, nil
}

// Drop implements typed.Resource.
func (s *entryStream) Drop() {
	s.of.release()
	s.host.give(entryStreams)
}

// ReadDirectoryEntry implements bindings.DirectoryEntryStream. It leaves out `.` and `..`. An entry
// whose name is not UTF-8 is an error, and the next call returns the entry after it.
func (s *entryStream) ReadDirectoryEntry(ctx context.Context) (next typed.Option[bindings.DirectoryEntry], err error) {
	if s.atEnd {
		return next, nil
	}
	err = s.of.object.(*wasi.Directory).Entries(ctx, s.cookie, func(e wasi.Entry) bool {
		s.cookie = e.Next
		if e.Name == "." || e.Name == ".." {
			return true
		}
		next = typed.Some(bindings.DirectoryEntry{Type: fileTypes[e.Type], Name: e.Name})
		return false
	})
	switch {
	case err != nil:
		return typed.Option[bindings.DirectoryEntry]{}, fileError(err)
	case !next.Is:
		s.atEnd = true
	case !utf8.ValidString(next.Value.Name):
		return typed.Option[bindings.DirectoryEntry]{}, bindings.FilesystemErrorCodeIllegalByteSequence
	}
	return next, nil
}
