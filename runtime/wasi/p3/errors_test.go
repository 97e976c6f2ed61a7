package p3

import (
	"testing"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// TestFileCodes compares the codes of WASI 0.3 with those of package descriptor, by some from all
// parts of the list.
func TestFileCodes(t *testing.T) {
	for _, test := range []struct {
		err  wasi.Error
		want bindings.FilesystemErrorCodeCase
		name string
	}{
		{wasi.ErrAccess, bindings.FilesystemErrorCodeAccess, "access"},
		{wasi.ErrWouldBlock, bindings.FilesystemErrorCodeIO, "io"},
		{wasi.ErrBadDescriptor, bindings.FilesystemErrorCodeBadDescriptor, "bad-descriptor"},
		{wasi.ErrQuota, bindings.FilesystemErrorCodeQuota, "quota"},
		{wasi.ErrIO, bindings.FilesystemErrorCodeIO, "io"},
		{wasi.ErrNotExist, bindings.FilesystemErrorCodeNoEntry, "no-entry"},
		{wasi.ErrNotPermitted, bindings.FilesystemErrorCodeNotPermitted, "not-permitted"},
		{wasi.ErrCrossDevice, bindings.FilesystemErrorCodeCrossDevice, "cross-device"},
	} {
		if got := fileCode(test.err); got.Case != test.want || got.Error() != test.name {
			t.Errorf("%v is %v, want %s", test.err, got, test.name)
		}
	}
	if int(descriptor.CrossDevice)-1 != int(bindings.FilesystemErrorCodeCrossDevice) {
		t.Error("the lists of codes differ by more than would-block")
	}
}
