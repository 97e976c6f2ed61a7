package wasi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Errno is an error number of preview 1. Zero, success, is never returned as an error.
type Errno uint16

// The error numbers that this host returns, with the values of the specification (typenames.witx).
const (
	ErrnoSuccess     Errno = 0
	Errno2Big        Errno = 1
	ErrnoAcces       Errno = 2
	ErrnoAgain       Errno = 6
	ErrnoBadf        Errno = 8
	ErrnoBusy        Errno = 10
	ErrnoConnaborted Errno = 13
	ErrnoConnrefused Errno = 14
	ErrnoConnreset   Errno = 15
	ErrnoDquot       Errno = 19
	ErrnoExist       Errno = 20
	ErrnoFault       Errno = 21
	ErrnoFbig        Errno = 22
	ErrnoHostunreach Errno = 23
	ErrnoIlseq       Errno = 25
	ErrnoIntr        Errno = 27
	ErrnoInval       Errno = 28
	ErrnoIo          Errno = 29
	ErrnoIsdir       Errno = 31
	ErrnoLoop        Errno = 32
	ErrnoMfile       Errno = 33
	ErrnoMlink       Errno = 34
	ErrnoMsgsize     Errno = 35
	ErrnoNametoolong Errno = 37
	ErrnoNetdown     Errno = 38
	ErrnoNetreset    Errno = 39
	ErrnoNetunreach  Errno = 40
	ErrnoNfile       Errno = 41
	ErrnoNobufs      Errno = 42
	ErrnoNodev       Errno = 43
	ErrnoNoent       Errno = 44
	ErrnoNomem       Errno = 48
	ErrnoNospc       Errno = 51
	ErrnoNosys       Errno = 52
	ErrnoNotconn     Errno = 53
	ErrnoNotdir      Errno = 54
	ErrnoNotempty    Errno = 55
	ErrnoNotsock     Errno = 57
	ErrnoNotsup      Errno = 58
	ErrnoNxio        Errno = 60
	ErrnoOverflow    Errno = 61
	ErrnoPerm        Errno = 63
	ErrnoPipe        Errno = 64
	ErrnoRofs        Errno = 69
	ErrnoSpipe       Errno = 70
	ErrnoStale       Errno = 72
	ErrnoTimedout    Errno = 73
	ErrnoTxtbsy      Errno = 74
	ErrnoXdev        Errno = 75
	ErrnoNotcapable  Errno = 76
)

// Error implements error.
func (e Errno) Error() string {
	if name, ok := errnoNames[e]; ok {
		return name
	}
	return fmt.Sprintf("wasi errno %d", uint16(e))
}

// ErrKilled unwinds a guest whose context ended while it was inside the host.
var ErrKilled = errors.New("killed")

// ExitError unwinds a guest that called proc_exit.
type ExitError struct {
	Code uint32
}

// Error implements error.
func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }

// hostErrnos are the kernel's error numbers in preview 1's numbering.
var hostErrnos = map[syscall.Errno]Errno{
	syscall.E2BIG:        Errno2Big,
	syscall.EACCES:       ErrnoAcces,
	syscall.EAGAIN:       ErrnoAgain,
	syscall.EBADF:        ErrnoBadf,
	syscall.EBUSY:        ErrnoBusy,
	syscall.EDQUOT:       ErrnoDquot,
	syscall.EEXIST:       ErrnoExist,
	syscall.EFBIG:        ErrnoFbig,
	syscall.EILSEQ:       ErrnoIlseq,
	syscall.EINTR:        ErrnoIntr,
	syscall.EINVAL:       ErrnoInval,
	syscall.EIO:          ErrnoIo,
	syscall.EISDIR:       ErrnoIsdir,
	syscall.ELOOP:        ErrnoLoop,
	syscall.EMFILE:       ErrnoNfile, // the host's table is full, not the guest's
	syscall.EMLINK:       ErrnoMlink,
	syscall.ENAMETOOLONG: ErrnoNametoolong,
	syscall.ENFILE:       ErrnoNfile,
	syscall.ENODEV:       ErrnoNodev,
	syscall.ENOENT:       ErrnoNoent,
	syscall.ENOMEM:       ErrnoNomem,
	syscall.ENOSPC:       ErrnoNospc,
	syscall.ENOSYS:       ErrnoNosys,
	syscall.ENOTDIR:      ErrnoNotdir,
	syscall.ENOTEMPTY:    ErrnoNotempty,
	syscall.EOPNOTSUPP:   ErrnoNotsup,
	syscall.ENXIO:        ErrnoNxio,
	syscall.EOVERFLOW:    ErrnoOverflow,
	syscall.EPERM:        ErrnoPerm,
	syscall.EPIPE:        ErrnoPipe,
	syscall.EROFS:        ErrnoRofs,
	syscall.ESPIPE:       ErrnoSpipe,
	syscall.ESTALE:       ErrnoStale,
	syscall.ETXTBSY:      ErrnoTxtbsy,
	syscall.EXDEV:        ErrnoXdev,
	syscall.ECONNABORTED: ErrnoConnaborted,
	syscall.ECONNREFUSED: ErrnoConnrefused,
	syscall.ECONNRESET:   ErrnoConnreset,
	syscall.EHOSTUNREACH: ErrnoHostunreach,
	syscall.EMSGSIZE:     ErrnoMsgsize,
	syscall.ENETDOWN:     ErrnoNetdown,
	syscall.ENETRESET:    ErrnoNetreset,
	syscall.ENETUNREACH:  ErrnoNetunreach,
	syscall.ENOBUFS:      ErrnoNobufs,
	syscall.ENOTCONN:     ErrnoNotconn,
	syscall.ETIMEDOUT:    ErrnoTimedout,
}

// guestError turns any error of the host into one that a function of the table may return. What comes often is
// recognised without errors.As, which takes a microsecond.
func guestError(err error) error {
	switch e := err.(type) {
	case Errno:
		return e
	case *ExitError:
		return e
	case *fs.PathError:
		if host, ok := e.Err.(syscall.Errno); ok {
			return guestErrno(host)
		}
	case syscall.Errno:
		return guestErrno(e)
	}
	var (
		errno Errno
		host  syscall.Errno
	)
	switch {
	case errors.Is(err, ErrKilled), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return ErrKilled
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &host):
		return guestErrno(host)
	case errors.Is(err, fs.ErrNotExist):
		return ErrnoNoent
	case errors.Is(err, fs.ErrExist):
		return ErrnoExist
	case errors.Is(err, fs.ErrPermission):
		return ErrnoPerm
	case errors.Is(err, fs.ErrInvalid):
		return ErrnoInval
	case errors.Is(err, os.ErrClosed):
		return ErrnoPipe
	}
	return ErrnoIo
}

func guestErrno(host syscall.Errno) error {
	if e, ok := hostErrnos[host]; ok {
		return e
	}
	return ErrnoIo
}
