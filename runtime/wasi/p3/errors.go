package p3

import (
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/descriptor"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// fileCode is the code of an error of the host. An error that ends the guest unwinds it.
func fileCode(err error) bindings.FilesystemErrorCode {
	code, ok := descriptor.CodeOf(err)
	switch {
	case !ok:
		typed.End(wasi.ErrKilled)
	case code == descriptor.WouldBlock: // nothing that does not wait says so
		code = descriptor.IO
		fallthrough
	case code > descriptor.WouldBlock:
		code-- // WASI 0.3 has no would-block
	}
	return bindings.FilesystemErrorCode{Case: bindings.FilesystemErrorCodeCase(code)}
}

// fileError is an error of the host as a function of wasi:filesystem returns it.
func fileError(err error) error {
	if err == nil {
		return nil
	}
	return fileCode(err)
}

// cliCode is the code of an error of a standard stream.
func cliCode(err error) bindings.CLIErrorCode {
	switch wasi.ErrorOf(err) {
	case 0:
		typed.End(wasi.ErrKilled)
	case wasi.ErrPipe:
		return bindings.CLIErrorCodePipe
	case wasi.ErrIllegalBytes:
		return bindings.CLIErrorCodeIllegalByteSequence
	}
	return bindings.CLIErrorCodeIO
}
