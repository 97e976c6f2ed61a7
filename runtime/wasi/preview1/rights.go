package preview1

import "github.com/krustlet-go/krustlet-wasi/runtime/wasi"

// Rights of preview 1, with the bits of the specification (typenames.witx).
const (
	rightFDDatasync = 1 << iota
	rightFDRead
	rightFDSeek
	rightFDFdstatSetFlags
	rightFDSync
	rightFDTell
	rightFDWrite
	rightFDAdvise
	rightFDAllocate
	rightPathCreateDirectory
	rightPathCreateFile
	rightPathLinkSource
	rightPathLinkTarget
	rightPathOpen
	rightFDReaddir
	rightPathReadlink
	rightPathRenameSource
	rightPathRenameTarget
	rightPathFilestatGet
	rightPathFilestatSetSize
	rightPathFilestatSetTimes
	rightFDFilestatGet
	rightFDFilestatSetSize
	rightFDFilestatSetTimes
	rightPathSymlink
	rightPathRemoveDirectory
	rightPathUnlinkFile
	rightPollFDReadwrite
	rightSockShutdown
	rightSockAccept
)

const (
	// inputRights and outputRights do not have seek and tell. Without them, a guest's libc treats a
	// character device as a terminal; with them it would treat any stream as a file.
	inputRights  = rightFDRead | rightFDFdstatSetFlags | rightFDFilestatGet | rightPollFDReadwrite
	outputRights = rightFDWrite | rightFDFdstatSetFlags | rightFDFilestatGet | rightPollFDReadwrite

	fileRights = rightFDDatasync | rightFDRead | rightFDSeek | rightFDFdstatSetFlags | rightFDSync | rightFDTell |
		rightFDWrite | rightFDAdvise | rightFDAllocate | rightFDFilestatGet | rightFDFilestatSetSize |
		rightFDFilestatSetTimes | rightPollFDReadwrite

	dirRights = rightFDFdstatSetFlags | rightFDSync | rightFDDatasync | rightPathCreateDirectory |
		rightPathCreateFile | rightPathLinkSource | rightPathLinkTarget | rightPathOpen | rightFDReaddir |
		rightPathReadlink | rightPathRenameSource | rightPathRenameTarget | rightPathFilestatGet |
		rightPathFilestatSetSize | rightPathFilestatSetTimes | rightFDFilestatGet | rightFDFilestatSetTimes |
		rightPathSymlink | rightPathRemoveDirectory | rightPathUnlinkFile | rightPollFDReadwrite

	connectionRights = rightFDRead | rightFDWrite | rightFDFdstatSetFlags | rightFDFilestatGet | rightPollFDReadwrite |
		rightSockShutdown
	socketRights   = connectionRights | listenerRights // of one that the guest makes
	listenerRights = rightFDFdstatSetFlags | rightFDFilestatGet | rightPollFDReadwrite | rightSockAccept | rightSockShutdown
)

// filetype is a file type of preview 1.
type filetype uint8

const (
	typeUnknown filetype = iota
	typeBlockDevice
	typeCharacterDevice
	typeDirectory
	typeRegularFile
	typeSocketDgram
	typeSocketStream
	typeSymbolicLink
)

// filetypes translates the host's file types to preview 1's numbers. There is no number for a FIFO.
var filetypes = [...]filetype{
	wasi.TypeBlockDevice:     typeBlockDevice,
	wasi.TypeCharacterDevice: typeCharacterDevice,
	wasi.TypeDirectory:       typeDirectory,
	wasi.TypeRegularFile:     typeRegularFile,
	wasi.TypeSocket:          typeSocketStream,
	wasi.TypeSymbolicLink:    typeSymbolicLink,
}

// filetypeOf is the type of an open object.
func filetypeOf(o wasi.Object) filetype {
	if _, ok := o.(*wasi.UDP); ok {
		return typeSocketDgram
	}
	return filetypes[o.Type()]
}

// Flags of an open descriptor (fdflags).
const (
	flagAppend   = 1 << iota // every write goes to the end
	flagDsync                // data is on the disk before a write returns
	flagNonblock             // no call on it blocks
	flagRsync
	flagSync   // data and metadata are on the disk before a write returns
	allFDFlags = 1<<iota - 1
)
