package preview1

import (
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Errno is an error number of preview 1. Zero means success, and is never returned as an error.
type Errno uint16

// The error numbers for guests, with the values of the specification (typenames.witx).
const (
	ErrnoSuccess      Errno = 0
	Errno2Big         Errno = 1
	ErrnoAcces        Errno = 2
	ErrnoAddrinuse    Errno = 3
	ErrnoAddrnotavail Errno = 4
	ErrnoAfnosupport  Errno = 5
	ErrnoAgain        Errno = 6
	ErrnoBadf         Errno = 8
	ErrnoBusy         Errno = 10
	ErrnoConnaborted  Errno = 13
	ErrnoConnrefused  Errno = 14
	ErrnoConnreset    Errno = 15
	ErrnoDestaddrreq  Errno = 17
	ErrnoDquot        Errno = 19
	ErrnoExist        Errno = 20
	ErrnoFault        Errno = 21
	ErrnoFbig         Errno = 22
	ErrnoHostunreach  Errno = 23
	ErrnoIlseq        Errno = 25
	ErrnoInprogress   Errno = 26
	ErrnoIntr         Errno = 27
	ErrnoInval        Errno = 28
	ErrnoIo           Errno = 29
	ErrnoIsconn       Errno = 30
	ErrnoIsdir        Errno = 31
	ErrnoLoop         Errno = 32
	ErrnoMfile        Errno = 33
	ErrnoMlink        Errno = 34
	ErrnoMsgsize      Errno = 35
	ErrnoNametoolong  Errno = 37
	ErrnoNetdown      Errno = 38
	ErrnoNetreset     Errno = 39
	ErrnoNetunreach   Errno = 40
	ErrnoNfile        Errno = 41
	ErrnoNobufs       Errno = 42
	ErrnoNodev        Errno = 43
	ErrnoNoent        Errno = 44
	ErrnoNomem        Errno = 48
	ErrnoNoprotoopt   Errno = 50
	ErrnoNospc        Errno = 51
	ErrnoNosys        Errno = 52
	ErrnoNotconn      Errno = 53
	ErrnoNotdir       Errno = 54
	ErrnoNotempty     Errno = 55
	ErrnoNotsock      Errno = 57
	ErrnoNotsup       Errno = 58
	ErrnoNxio         Errno = 60
	ErrnoOverflow     Errno = 61
	ErrnoPerm         Errno = 63
	ErrnoPipe         Errno = 64
	ErrnoRofs         Errno = 69
	ErrnoSpipe        Errno = 70
	ErrnoStale        Errno = 72
	ErrnoTimedout     Errno = 73
	ErrnoTxtbsy       Errno = 74
	ErrnoXdev         Errno = 75
	ErrnoNotcapable   Errno = 76
)

// Error numbers of sock_getaddrinfo, which WasmEdge has added.
const (
	ErrnoAiagain   Errno = 78
	ErrnoAifail    Errno = 80
	ErrnoAifamily  Errno = 81
	ErrnoAinoname  Errno = 84
	ErrnoAiservice Errno = 85
)

// errnos translates the host's errors to preview 1's numbers.
var errnos = [...]Errno{
	wasi.ErrAccess:              ErrnoAcces,
	wasi.ErrAddressInUse:        ErrnoAddrinuse,
	wasi.ErrAddressNotAvailable: ErrnoAddrnotavail,
	wasi.ErrAlreadyConnected:    ErrnoIsconn,
	wasi.ErrBadDescriptor:       ErrnoBadf,
	wasi.ErrBusy:                ErrnoBusy,
	wasi.ErrConnectionAborted:   ErrnoConnaborted,
	wasi.ErrConnectionRefused:   ErrnoConnrefused,
	wasi.ErrConnectionReset:     ErrnoConnreset,
	wasi.ErrCrossDevice:         ErrnoXdev,
	wasi.ErrExist:               ErrnoExist,
	wasi.ErrFamily:              ErrnoAfnosupport,
	wasi.ErrFileTooLarge:        ErrnoFbig,
	wasi.ErrHostUnreachable:     ErrnoHostunreach,
	wasi.ErrIllegalBytes:        ErrnoIlseq,
	wasi.ErrInProgress:          ErrnoInprogress,
	wasi.ErrInterrupted:         ErrnoIntr,
	wasi.ErrInvalid:             ErrnoInval,
	wasi.ErrIO:                  ErrnoIo,
	wasi.ErrIsDirectory:         ErrnoIsdir,
	wasi.ErrLoop:                ErrnoLoop,
	wasi.ErrMessageSize:         ErrnoMsgsize,
	wasi.ErrNameTooLong:         ErrnoNametoolong,
	wasi.ErrNetworkDown:         ErrnoNetdown,
	wasi.ErrNetworkReset:        ErrnoNetreset,
	wasi.ErrNetworkUnreachable:  ErrnoNetunreach,
	wasi.ErrNoBuffers:           ErrnoNobufs,
	wasi.ErrNoDestination:       ErrnoDestaddrreq,
	wasi.ErrNoDevice:            ErrnoNodev,
	wasi.ErrNoFiles:             ErrnoNfile,
	wasi.ErrNoFunction:          ErrnoNosys,
	wasi.ErrNoMemory:            ErrnoNomem,
	wasi.ErrNoSpace:             ErrnoNospc,
	wasi.ErrNoSuchDevice:        ErrnoNxio,
	wasi.ErrNotConnected:        ErrnoNotconn,
	wasi.ErrNotDirectory:        ErrnoNotdir,
	wasi.ErrNotEmpty:            ErrnoNotempty,
	wasi.ErrNotExist:            ErrnoNoent,
	wasi.ErrNotPermitted:        ErrnoPerm,
	wasi.ErrNotSeekable:         ErrnoSpipe,
	wasi.ErrNotSupported:        ErrnoNotsup,
	wasi.ErrOverflow:            ErrnoOverflow,
	wasi.ErrPipe:                ErrnoPipe,
	wasi.ErrQuota:               ErrnoDquot,
	wasi.ErrReadOnly:            ErrnoRofs,
	wasi.ErrStale:               ErrnoStale,
	wasi.ErrState:               ErrnoInval,
	wasi.ErrTextBusy:            ErrnoTxtbsy,
	wasi.ErrTimeout:             ErrnoTimedout,
	wasi.ErrTooBig:              Errno2Big,
	wasi.ErrTooManyLinks:        ErrnoMlink,
	wasi.ErrTooManyOpen:         ErrnoMfile,
	wasi.ErrWouldBlock:          ErrnoAgain,
}

// own has the names of the errors that only this binding uses.
var own = map[Errno]string{
	ErrnoSuccess:    "success",
	ErrnoFault:      "bad address",
	ErrnoNotsock:    "not a socket",
	ErrnoNotcapable: "not capable",
	ErrnoNoprotoopt: "no such option",
	ErrnoAiagain:    "names cannot be looked up now",
	ErrnoAifail:     "servers of names fail",
	ErrnoAifamily:   "no such family of addresses",
	ErrnoAinoname:   "no such name",
	ErrnoAiservice:  "no such service",
}

// Error implements error.
func (e Errno) Error() string {
	if name, ok := own[e]; ok {
		return name
	}
	for host, errno := range errnos {
		if errno == e {
			return wasi.Error(host).Error()
		}
	}
	return fmt.Sprintf("wasi errno %d", uint16(e))
}

// outcome translates a function's error to a number for the guest, or to an error that ends the
// guest.
func outcome(err error) (Errno, error) {
	switch e := err.(type) {
	case Errno:
		return e, nil
	case *wasi.ExitError:
		return 0, e
	}
	if e := wasi.ErrorOf(err); e != 0 {
		return errnos[e], nil
	}
	return 0, wasi.ErrKilled
}
