package p2

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// fileCodes translates the host's errors to the codes of wasi:filesystem. It has no codes of
// networks, and none of full tables.
var fileCodes = [...]bindings.FilesystemErrorCode{
	wasi.ErrAccess:             bindings.FilesystemErrorCodeAccess,
	wasi.ErrBadDescriptor:      bindings.FilesystemErrorCodeBadDescriptor,
	wasi.ErrBusy:               bindings.FilesystemErrorCodeBusy,
	wasi.ErrConnectionAborted:  bindings.FilesystemErrorCodeIO,
	wasi.ErrConnectionRefused:  bindings.FilesystemErrorCodeIO,
	wasi.ErrConnectionReset:    bindings.FilesystemErrorCodeIO,
	wasi.ErrCrossDevice:        bindings.FilesystemErrorCodeCrossDevice,
	wasi.ErrExist:              bindings.FilesystemErrorCodeExist,
	wasi.ErrFileTooLarge:       bindings.FilesystemErrorCodeFileTooLarge,
	wasi.ErrHostUnreachable:    bindings.FilesystemErrorCodeIO,
	wasi.ErrIllegalBytes:       bindings.FilesystemErrorCodeIllegalByteSequence,
	wasi.ErrInterrupted:        bindings.FilesystemErrorCodeInterrupted,
	wasi.ErrInvalid:            bindings.FilesystemErrorCodeInvalid,
	wasi.ErrIO:                 bindings.FilesystemErrorCodeIO,
	wasi.ErrIsDirectory:        bindings.FilesystemErrorCodeIsDirectory,
	wasi.ErrLoop:               bindings.FilesystemErrorCodeLoop,
	wasi.ErrMessageSize:        bindings.FilesystemErrorCodeMessageSize,
	wasi.ErrNameTooLong:        bindings.FilesystemErrorCodeNameTooLong,
	wasi.ErrNetworkDown:        bindings.FilesystemErrorCodeIO,
	wasi.ErrNetworkReset:       bindings.FilesystemErrorCodeIO,
	wasi.ErrNetworkUnreachable: bindings.FilesystemErrorCodeIO,
	wasi.ErrNoBuffers:          bindings.FilesystemErrorCodeInsufficientMemory,
	wasi.ErrNoDevice:           bindings.FilesystemErrorCodeNoDevice,
	wasi.ErrNoFiles:            bindings.FilesystemErrorCodeInsufficientMemory,
	wasi.ErrNoFunction:         bindings.FilesystemErrorCodeUnsupported,
	wasi.ErrNoMemory:           bindings.FilesystemErrorCodeInsufficientMemory,
	wasi.ErrNoSpace:            bindings.FilesystemErrorCodeInsufficientSpace,
	wasi.ErrNoSuchDevice:       bindings.FilesystemErrorCodeNoSuchDevice,
	wasi.ErrNotConnected:       bindings.FilesystemErrorCodeIO,
	wasi.ErrNotDirectory:       bindings.FilesystemErrorCodeNotDirectory,
	wasi.ErrNotEmpty:           bindings.FilesystemErrorCodeNotEmpty,
	wasi.ErrNotExist:           bindings.FilesystemErrorCodeNoEntry,
	wasi.ErrNotPermitted:       bindings.FilesystemErrorCodeNotPermitted,
	wasi.ErrNotSeekable:        bindings.FilesystemErrorCodeInvalidSeek,
	wasi.ErrNotSupported:       bindings.FilesystemErrorCodeUnsupported,
	wasi.ErrOverflow:           bindings.FilesystemErrorCodeOverflow,
	wasi.ErrPipe:               bindings.FilesystemErrorCodePipe,
	wasi.ErrQuota:              bindings.FilesystemErrorCodeQuota,
	wasi.ErrReadOnly:           bindings.FilesystemErrorCodeReadOnly,
	wasi.ErrStale:              bindings.FilesystemErrorCodeNoEntry,
	wasi.ErrTextBusy:           bindings.FilesystemErrorCodeTextFileBusy,
	wasi.ErrTimeout:            bindings.FilesystemErrorCodeIO,
	wasi.ErrTooBig:             bindings.FilesystemErrorCodeInvalid,
	wasi.ErrTooManyLinks:       bindings.FilesystemErrorCodeTooManyLinks,
	wasi.ErrTooManyOpen:        bindings.FilesystemErrorCodeInsufficientMemory,
	wasi.ErrWouldBlock:         bindings.FilesystemErrorCodeWouldBlock,
}

// fileError is an error of the host as a function of wasi:filesystem returns it: a code, or what ends
// the guest.
func fileError(err error) error {
	if err == nil {
		return nil
	}
	if e := wasi.ErrorOf(err); e != 0 {
		return fileCodes[e]
	}
	return wasi.ErrKilled
}

// failure is the resource error of wasi:io: why an operation on a stream failed.
type failure struct {
	host   *Host
	reason wasi.Error
	file   bool // of a file, so that it has a code of wasi:filesystem
}

// ToDebugString implements bindings.Error. The text has no names of the host.
func (f *failure) ToDebugString(context.Context) (string, error) { return f.reason.Error(), nil }

// Drop implements typed.Resource.
func (f *failure) Drop() { f.host.give(failures) }

// errClosed is the error of a stream that has ended.
var errClosed error = bindings.StreamError{Case: bindings.StreamErrorClosed}

// failed is an error of the host as a function of a stream returns it: a resource with the reason, or
// what ends the guest.
func (h *Host) failed(err error, file bool) error {
	reason := wasi.ErrorOf(err)
	if reason == 0 {
		return wasi.ErrKilled
	}
	if err := h.take(failures); err != nil {
		return err
	}
	return bindings.StreamError{
		Case:                bindings.StreamErrorLastOperationFailed,
		LastOperationFailed: &failure{host: h, reason: reason, file: file},
	}
}

// filesystem has the functions of wasi:filesystem/types.
type filesystem struct{}

// FilesystemErrorCode implements bindings.FilesystemHost.
func (filesystem) FilesystemErrorCode(_ context.Context, err bindings.Error) (code typed.Option[bindings.FilesystemErrorCode], _ error) {
	if f, ok := err.(*failure); ok && f.file {
		code = typed.Some(fileCodes[f.reason])
	}
	return code, nil
}
