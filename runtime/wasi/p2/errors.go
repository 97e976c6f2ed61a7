package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// fileError is an error of the host as a function of wasi:filesystem returns it: a code, or what
// ends the guest.
func fileError(err error) error {
	if err == nil {
		return nil
	}
	if code, ok := descriptor.CodeOf(err); ok {
		return bindings.FilesystemErrorCode(code)
	}
	return wasi.ErrKilled
}

// failure is the resource error of wasi:io: why an operation on a stream failed.
type failure struct {
	host   *Host
	reason wasi.Error
	of     origin                               // of what; it has the code of another interface, too
	code   typed.Option[bindings.HTTPErrorCode] // of a body
}

// origin is what a stream is of.
type origin uint8

const (
	ofOther origin = iota
	ofFile
	ofSocket
)

// ToDebugString implements bindings.Error. The text has no names of the host.
func (f *failure) ToDebugString(context.Context) (string, error) {
	if f.code.Is {
		return f.code.Value.Error(), nil
	}
	return f.reason.Error(), nil
}

// Drop implements typed.Resource.
func (f *failure) Drop() { f.host.give(failures) }

// errClosed is the error of a stream that has ended.
var errClosed error = bindings.StreamError{Case: bindings.StreamErrorClosed}

// failed is an error of the host as a function of a stream returns it: a resource with the reason,
// or what ends the guest.
func (h *Host) failed(err error, of origin) error {
	reason := wasi.ErrorOf(err)
	if reason == 0 {
		return wasi.ErrKilled
	}
	if err := h.take(failures); err != nil {
		return err
	}
	return bindings.StreamError{
		Case:                bindings.StreamErrorLastOperationFailed,
		LastOperationFailed: &failure{host: h, reason: reason, of: of},
	}
}

// filesystem has the functions of wasi:filesystem/types.
type filesystem struct{}

// FilesystemErrorCode implements bindings.FilesystemHost.
func (filesystem) FilesystemErrorCode(_ context.Context, err bindings.Error) (code typed.Option[bindings.FilesystemErrorCode], _ error) {
	if f, ok := err.(*failure); ok && f.of == ofFile {
		of, _ := descriptor.CodeOf(f.reason)
		code = typed.Some(bindings.FilesystemErrorCode(of))
	}
	return code, nil
}
