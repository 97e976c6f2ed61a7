package descriptor

import "github.com/krustlet-go/krustlet-wasi/runtime/wasi"

// Code is an error code of wasi:filesystem, with the number of its case in WASI 0.2. WASI 0.3 has
// the same ones in the same order, without WouldBlock.
type Code uint8

// The codes.
const (
	Access Code = iota
	WouldBlock
	Already
	BadDescriptor
	Busy
	Deadlock
	Quota
	Exist
	FileTooLarge
	IllegalByteSequence
	InProgress
	Interrupted
	Invalid
	IO
	IsDirectory
	Loop
	TooManyLinks
	MessageSize
	NameTooLong
	NoDevice
	NoEntry
	NoLock
	InsufficientMemory
	InsufficientSpace
	NotDirectory
	NotEmpty
	NotRecoverable
	Unsupported
	NoTTY
	NoSuchDevice
	Overflow
	NotPermitted
	Pipe
	ReadOnly
	InvalidSeek
	TextFileBusy
	CrossDevice
)

// codes translates the host's errors. There are no codes of networks, and none of full tables.
var codes = [...]Code{
	wasi.ErrAccess:              Access,
	wasi.ErrAddressInUse:        IO,
	wasi.ErrAddressNotAvailable: IO,
	wasi.ErrAlreadyConnected:    IO,
	wasi.ErrBadDescriptor:       BadDescriptor,
	wasi.ErrBusy:                Busy,
	wasi.ErrConnectionAborted:   IO,
	wasi.ErrConnectionRefused:   IO,
	wasi.ErrConnectionReset:     IO,
	wasi.ErrCrossDevice:         CrossDevice,
	wasi.ErrExist:               Exist,
	wasi.ErrFamily:              IO,
	wasi.ErrFileTooLarge:        FileTooLarge,
	wasi.ErrHostUnreachable:     IO,
	wasi.ErrIllegalBytes:        IllegalByteSequence,
	wasi.ErrInProgress:          InProgress,
	wasi.ErrInterrupted:         Interrupted,
	wasi.ErrInvalid:             Invalid,
	wasi.ErrIO:                  IO,
	wasi.ErrIsDirectory:         IsDirectory,
	wasi.ErrLoop:                Loop,
	wasi.ErrMessageSize:         MessageSize,
	wasi.ErrNameTooLong:         NameTooLong,
	wasi.ErrNetworkDown:         IO,
	wasi.ErrNetworkReset:        IO,
	wasi.ErrNetworkUnreachable:  IO,
	wasi.ErrNoBuffers:           InsufficientMemory,
	wasi.ErrNoDestination:       IO,
	wasi.ErrNoDevice:            NoDevice,
	wasi.ErrNoFiles:             InsufficientMemory,
	wasi.ErrNoFunction:          Unsupported,
	wasi.ErrNoMemory:            InsufficientMemory,
	wasi.ErrNoSpace:             InsufficientSpace,
	wasi.ErrNoSuchDevice:        NoSuchDevice,
	wasi.ErrNotConnected:        IO,
	wasi.ErrNotDirectory:        NotDirectory,
	wasi.ErrNotEmpty:            NotEmpty,
	wasi.ErrNotExist:            NoEntry,
	wasi.ErrNotPermitted:        NotPermitted,
	wasi.ErrNotSeekable:         InvalidSeek,
	wasi.ErrNotSupported:        Unsupported,
	wasi.ErrOverflow:            Overflow,
	wasi.ErrPipe:                Pipe,
	wasi.ErrQuota:               Quota,
	wasi.ErrReadOnly:            ReadOnly,
	wasi.ErrStale:               NoEntry,
	wasi.ErrState:               Invalid,
	wasi.ErrTextBusy:            TextFileBusy,
	wasi.ErrTimeout:             IO,
	wasi.ErrTooBig:              Invalid,
	wasi.ErrTooManyLinks:        TooManyLinks,
	wasi.ErrTooManyOpen:         InsufficientMemory,
	wasi.ErrWouldBlock:          WouldBlock,
}

// CodeOf returns the code of an error of the host. It reports false for an error that ends the
// guest.
func CodeOf(err error) (Code, bool) {
	e := wasi.ErrorOf(err)
	return codes[e], e != 0
}
