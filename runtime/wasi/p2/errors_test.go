package p2

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// TestSharedNumbers holds the numbers of package descriptor to those of WASI 0.2: of the first and
// last ones, and so of all, and of some between them.
func TestSharedNumbers(t *testing.T) {
	for _, test := range []struct {
		ours  uint32
		wasis uint32
	}{
		{uint32(descriptor.Access), uint32(bindings.FilesystemErrorCodeAccess)},
		{uint32(descriptor.BadDescriptor), uint32(bindings.FilesystemErrorCodeBadDescriptor)},
		{uint32(descriptor.Invalid), uint32(bindings.FilesystemErrorCodeInvalid)},
		{uint32(descriptor.NoEntry), uint32(bindings.FilesystemErrorCodeNoEntry)},
		{uint32(descriptor.NotPermitted), uint32(bindings.FilesystemErrorCodeNotPermitted)},
		{uint32(descriptor.CrossDevice), uint32(bindings.FilesystemErrorCodeCrossDevice)},
		{uint32(descriptor.Read), uint32(bindings.DescriptorFlagsRead)},
		{uint32(descriptor.MutateDirectory), uint32(bindings.DescriptorFlagsMutateDirectory)},
		{uint32(descriptor.Create), uint32(bindings.OpenFlagsCreate)},
		{uint32(descriptor.Truncate), uint32(bindings.OpenFlagsTruncate)},
		{uint32(descriptor.SetNothing), uint32(bindings.NewTimestampNoChange)},
		{uint32(descriptor.SetTo), uint32(bindings.NewTimestampTimestamp)},
	} {
		if test.ours != test.wasis {
			t.Errorf("the number %d is %d in WASI 0.2", test.ours, test.wasis)
		}
	}
}

// TestEveryErrorHasACode translates every error of the host, and errors of each form.
func TestEveryErrorHasACode(t *testing.T) {
	for _, e := range wasi.Errors() {
		if errors.Is(fileError(e), bindings.FilesystemErrorCodeAccess) != (e == wasi.ErrAccess) { // number 0
			t.Errorf("%v has no code", e)
		}
	}
	for _, test := range []struct{ err, want error }{
		{nil, nil},
		{wasi.ErrNotExist, bindings.FilesystemErrorCodeNoEntry},
		{syscall.ENOSPC, bindings.FilesystemErrorCodeInsufficientSpace},
		{fmt.Errorf("opening: %w", &fs.PathError{Op: "open", Err: syscall.EROFS}), bindings.FilesystemErrorCodeReadOnly},
		{errors.New("anything"), bindings.FilesystemErrorCodeIO},
		{wasi.ErrKilled, wasi.ErrKilled},
		{fmt.Errorf("waiting: %w", wasi.ErrKilled), wasi.ErrKilled},
	} {
		if got := fileError(test.err); !errors.Is(got, test.want) {
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
