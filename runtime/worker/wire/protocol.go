package wire

// Protocol is the number of the protocol of this build's workers. It is also the newest that this
// build's agent understands. OldestProtocol is the oldest that the agent understands.
const (
	Protocol       = 1
	OldestProtocol = 1
)

// Understands reports whether this build's agent understands a worker with this number.
func Understands(number uint32) bool { return within(number, OldestProtocol, Protocol) }

func within(number, oldest, newest uint32) bool { return oldest <= number && number <= newest }

// DirFlag is the argument of a worker that gives its folder; the folder's path follows it.
const DirFlag = "--dir="

// ReadyFlag is the argument of a worker that gives an open file; the file's number follows it. The
// worker writes ReadyWord to this file when it serves.
const (
	ReadyFlag = "--ready-fd="
	ReadyWord = "ready\n"
)
