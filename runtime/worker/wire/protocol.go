package wire

// Protocol is the number of the protocol that this build's workers speak, and the newest that its
// agent understands. OldestProtocol is the oldest that its agent understands.
const (
	Protocol       = 1
	OldestProtocol = 1
)

// Understands reports whether this build's agent understands a worker that says this number.
func Understands(number uint32) bool { return within(number, OldestProtocol, Protocol) }

func within(number, oldest, newest uint32) bool { return oldest <= number && number <= newest }

// DirFlag is the argument of a worker that names its folder, up to the name.
const DirFlag = "--dir="

// ReadyFlag is the argument of a worker that names an open file, up to its number. The worker
// writes ReadyWord to it once it serves.
const (
	ReadyFlag = "--ready-fd="
	ReadyWord = "ready\n"
)
