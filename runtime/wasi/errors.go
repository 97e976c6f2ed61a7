package wasi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Error says why the host refuses a call or fails in it. A binding translates it to the numbers of
// its version of WASI. Zero means no error, and is never returned as an error.
type Error uint8

// The reasons. Those that the kernel also has mean the same as its error numbers (errno(3)).
const (
	ErrAccess Error = iota + 1
	ErrAddressInUse
	ErrAddressNotAvailable
	ErrAlreadyConnected
	ErrBadDescriptor
	ErrBusy
	ErrConnectionAborted
	ErrConnectionRefused
	ErrConnectionReset
	ErrCrossDevice // a move between two mounts, or one that should be made as a copy
	ErrExist
	ErrFamily // an address is not of the socket's family, or the machine does not have the family
	ErrFileTooLarge
	ErrHostUnreachable
	ErrIllegalBytes
	ErrInProgress // a connection is being made
	ErrInterrupted
	ErrInvalid
	ErrIO // every failure without its own reason
	ErrIsDirectory
	ErrLoop // too many symbolic links, or one that must not be followed
	ErrMessageSize
	ErrNameTooLong // a name, a path, or the number of levels of directories
	ErrNetworkDown
	ErrNetworkReset
	ErrNetworkUnreachable
	ErrNoBuffers
	ErrNoDestination // a datagram has no address to go to
	ErrNoDevice
	ErrNoFiles // the host has no more open files for guests
	ErrNoFunction
	ErrNoMemory
	ErrNoSpace
	ErrNoSuchDevice
	ErrNotConnected
	ErrNotDirectory
	ErrNotEmpty
	ErrNotExist
	ErrNotPermitted
	ErrNotSeekable
	ErrNotSupported
	ErrOverflow
	ErrPipe
	ErrQuota
	ErrReadOnly
	ErrStale
	ErrState // a socket is not in the state that a call needs
	ErrTextBusy
	ErrTimeout
	ErrTooBig
	ErrTooManyLinks
	ErrTooManyOpen // the guest holds its maximum of descriptors
	ErrWouldBlock

	errorCount
)

var errorTexts = [errorCount]string{
	ErrAccess:              "permission denied",
	ErrAddressInUse:        "address already in use",
	ErrAddressNotAvailable: "address not available",
	ErrAlreadyConnected:    "already connected",
	ErrBadDescriptor:       "bad descriptor",
	ErrBusy:                "resource busy",
	ErrConnectionAborted:   "connection aborted",
	ErrConnectionRefused:   "connection refused",
	ErrConnectionReset:     "connection reset",
	ErrCrossDevice:         "cross-device link",
	ErrExist:               "file exists",
	ErrFamily:              "address family not supported",
	ErrFileTooLarge:        "file too large",
	ErrHostUnreachable:     "host is unreachable",
	ErrIllegalBytes:        "illegal byte sequence",
	ErrInProgress:          "operation in progress",
	ErrInterrupted:         "interrupted",
	ErrInvalid:             "invalid argument",
	ErrIO:                  "input or output error",
	ErrIsDirectory:         "is a directory",
	ErrLoop:                "too many symbolic links",
	ErrMessageSize:         "message too long",
	ErrNameTooLong:         "name too long",
	ErrNetworkDown:         "network is down",
	ErrNetworkReset:        "connection aborted by the network",
	ErrNetworkUnreachable:  "network is unreachable",
	ErrNoBuffers:           "no buffer space",
	ErrNoDestination:       "destination address required",
	ErrNoDevice:            "no such device",
	ErrNoFiles:             "too many open files on the host",
	ErrNoFunction:          "function not implemented",
	ErrNoMemory:            "out of memory",
	ErrNoSpace:             "no space left",
	ErrNoSuchDevice:        "no such device or address",
	ErrNotConnected:        "not connected",
	ErrNotDirectory:        "not a directory",
	ErrNotEmpty:            "directory not empty",
	ErrNotExist:            "no such file or directory",
	ErrNotPermitted:        "operation not permitted",
	ErrNotSeekable:         "invalid seek",
	ErrNotSupported:        "not supported",
	ErrOverflow:            "value too large",
	ErrPipe:                "broken pipe",
	ErrQuota:               "disk quota exceeded",
	ErrReadOnly:            "read-only file system",
	ErrStale:               "stale handle",
	ErrState:               "not possible in this state",
	ErrTextBusy:            "text file busy",
	ErrTimeout:             "timed out",
	ErrTooBig:              "argument list too long",
	ErrTooManyLinks:        "too many links",
	ErrTooManyOpen:         "too many open descriptors",
	ErrWouldBlock:          "try again",
}

// Error implements error.
func (e Error) Error() string {
	if int(e) < len(errorTexts) && errorTexts[e] != "" {
		return errorTexts[e]
	}
	return fmt.Sprintf("wasi error %d", uint8(e))
}

// Errors returns all errors of the host, for bindings that check their own table against it.
func Errors() []Error {
	var all []Error
	for e := Error(1); e < errorCount; e++ {
		all = append(all, e)
	}
	return all
}

// ErrKilled unwinds a guest whose context ended while it was inside the host.
var ErrKilled = errors.New("killed")

// ExitError unwinds a guest that ended itself with an exit code.
type ExitError struct {
	Code uint32
}

// Error implements error.
func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// ofKernel has the host's error for each of the kernel's error numbers that guests may see.
var ofKernel = [...]Error{
	syscall.E2BIG:         ErrTooBig,
	syscall.EACCES:        ErrAccess,
	syscall.EADDRINUSE:    ErrAddressInUse,
	syscall.EADDRNOTAVAIL: ErrAddressNotAvailable,
	syscall.EAFNOSUPPORT:  ErrFamily,
	syscall.EAGAIN:        ErrWouldBlock,
	syscall.EALREADY:      ErrInProgress,
	syscall.EBADF:         ErrBadDescriptor,
	syscall.EBUSY:         ErrBusy,
	syscall.ECONNABORTED:  ErrConnectionAborted,
	syscall.ECONNREFUSED:  ErrConnectionRefused,
	syscall.ECONNRESET:    ErrConnectionReset,
	syscall.EDESTADDRREQ:  ErrNoDestination,
	syscall.EDQUOT:        ErrQuota,
	syscall.EEXIST:        ErrExist,
	syscall.EFBIG:         ErrFileTooLarge,
	syscall.EHOSTDOWN:     ErrHostUnreachable,
	syscall.EHOSTUNREACH:  ErrHostUnreachable,
	syscall.EILSEQ:        ErrIllegalBytes,
	syscall.EINPROGRESS:   ErrInProgress,
	syscall.EINTR:         ErrInterrupted,
	syscall.EINVAL:        ErrInvalid,
	syscall.EIO:           ErrIO,
	syscall.EISCONN:       ErrAlreadyConnected,
	syscall.EISDIR:        ErrIsDirectory,
	syscall.ELOOP:         ErrLoop,
	syscall.EMFILE:        ErrNoFiles, // this process's table is full, not the guest's
	syscall.EMLINK:        ErrTooManyLinks,
	syscall.EMSGSIZE:      ErrMessageSize,
	syscall.ENAMETOOLONG:  ErrNameTooLong,
	syscall.ENETDOWN:      ErrNetworkDown,
	syscall.ENETRESET:     ErrNetworkReset,
	syscall.ENETUNREACH:   ErrNetworkUnreachable,
	syscall.ENFILE:        ErrNoFiles,
	syscall.ENOBUFS:       ErrNoBuffers,
	syscall.ENODEV:        ErrNoDevice,
	syscall.ENOENT:        ErrNotExist,
	syscall.ENOMEM:        ErrNoMemory,
	syscall.ENONET:        ErrNetworkUnreachable,
	syscall.ENOSPC:        ErrNoSpace,
	syscall.ENOSYS:        ErrNoFunction,
	syscall.ENOTCONN:      ErrNotConnected,
	syscall.ENOTDIR:       ErrNotDirectory,
	syscall.ENOTEMPTY:     ErrNotEmpty,
	syscall.ENXIO:         ErrNoSuchDevice,
	syscall.EOPNOTSUPP:    ErrNotSupported,
	syscall.EOVERFLOW:     ErrOverflow,
	syscall.EPERM:         ErrNotPermitted,
	syscall.EPIPE:         ErrPipe,
	syscall.EROFS:         ErrReadOnly,
	syscall.ESPIPE:        ErrNotSeekable,
	syscall.ESTALE:        ErrStale,
	syscall.ETIMEDOUT:     ErrTimeout,
	syscall.ETXTBSY:       ErrTextBusy,
	syscall.EXDEV:         ErrCrossDevice,
}

// ErrorOf returns the reason of an error that a method of the host returned, and 0 for an error
// that means that the guest was killed. Methods return the kernel's error numbers unchanged, so
// that only a binding pays for the translation. ErrorOf recognises frequent errors without
// errors.As, which takes a microsecond.
func ErrorOf(err error) Error {
	switch e := err.(type) { //nolint:errorlint // see above; what is wrapped is looked at below
	case Error:
		return e
	case syscall.Errno:
		return kernelError(e)
	case *fs.PathError:
		if number, ok := e.Err.(syscall.Errno); ok { //nolint:errorlint // see above
			return kernelError(number)
		}
	}
	var (
		own    Error
		number syscall.Errno
	)
	switch {
	case errors.Is(err, ErrKilled), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return 0
	case errors.As(err, &own):
		return own
	case errors.As(err, &number):
		return kernelError(number)
	case errors.Is(err, fs.ErrNotExist):
		return ErrNotExist
	case errors.Is(err, fs.ErrExist):
		return ErrExist
	case errors.Is(err, fs.ErrPermission):
		return ErrNotPermitted
	case errors.Is(err, fs.ErrInvalid):
		return ErrInvalid
	case errors.Is(err, os.ErrClosed):
		return ErrPipe
	}
	return ErrIO
}

func kernelError(number syscall.Errno) Error {
	if uint64(number) < uint64(len(ofKernel)) && ofKernel[number] != 0 {
		return ofKernel[number]
	}
	return ErrIO
}
