package p3

import (
	"io"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// entrySource is a source of the entries of a directory, without `.` and `..`. Entries whose names
// are not UTF-8 are left out, and at the end that is an error.
type entrySource struct {
	user
	dir     *wasi.Directory
	cookie  uint64   // of the next entry
	cookies []uint64 // of what follows each entry that next returned
	illegal bool
}

func (s *entrySource) next(n int) ([]bindings.DirectoryEntry, error) {
	n = min(n, maxEntries)
	var all []bindings.DirectoryEntry
	s.cookies = s.cookies[:0]
	err := s.dir.Entries(s.host.ctx, s.cookie, func(e wasi.Entry) bool {
		if e.Name == "." || e.Name == ".." {
			return true
		}
		name, err := descriptor.Text(e.Name)
		if err != nil {
			s.illegal = true
			return true
		}
		all = append(all, bindings.DirectoryEntry{Type: descriptorType(e.Type), Name: name})
		s.cookies = append(s.cookies, e.Next)
		return len(all) < n
	})
	switch {
	case err != nil:
		return nil, err
	case len(all) > 0:
		return all, nil
	case s.illegal:
		return nil, wasi.ErrIllegalBytes
	}
	return nil, io.EOF
}

func (s *entrySource) took(n int) {
	if n > 0 {
		s.cookie = s.cookies[n-1]
	}
}

func (*entrySource) wait(func()) (stop func(), err error) { return nil, wasi.ErrIO } // it never waits
