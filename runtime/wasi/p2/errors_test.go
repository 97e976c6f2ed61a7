package p2

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// TestEveryErrorHasACode holds the table to the host's errors.
func TestEveryErrorHasACode(t *testing.T) {
	if got, want := len(fileCodes), len(wasi.Errors())+1; got != want {
		t.Errorf("the table has %d rows, want %d", got, want)
	}
	for _, e := range wasi.Errors() {
		if fileCodes[e] == 0 && e != wasi.ErrAccess { // access is number 0
			t.Errorf("%v has no code", e)
		}
	}
}

// TestErrorsOfFiles translates errors of each form.
func TestErrorsOfFiles(t *testing.T) {
	for _, test := range []struct{ err, want error }{
		{nil, nil},
		{wasi.ErrNotExist, bindings.FilesystemErrorCodeNoEntry},
		{syscall.ENOSPC, bindings.FilesystemErrorCodeInsufficientSpace},
		{fmt.Errorf("opening: %w", &fs.PathError{Op: "open", Err: syscall.EROFS}), bindings.FilesystemErrorCodeReadOnly},
		{errors.New("anything"), bindings.FilesystemErrorCodeIO},
		{wasi.ErrKilled, wasi.ErrKilled},
		{fmt.Errorf("waiting: %w", wasi.ErrKilled), wasi.ErrKilled},
	} {
		if got := fileError(test.err); got != test.want {
			t.Errorf("%v became %v, want %v", test.err, got, test.want)
		}
	}
}

// TestEveryFileTypeIsTranslated holds the table of types to the host's.
func TestEveryFileTypeIsTranslated(t *testing.T) {
	if len(fileTypes) != int(wasi.TypeSymbolicLink)+1 {
		t.Errorf("the table has %d types, the host %d", len(fileTypes), wasi.TypeSymbolicLink+1)
	}
}
