package wire

// Protocol is the number of the protocol that both sides speak.
const Protocol = 1

// DirFlag is the argument of a worker that names its folder, up to the name.
const DirFlag = "--dir="

// ReadyFlag is the argument of a worker that names an open file, up to its number. The worker writes
// ReadyWord to it once it serves.
const (
	ReadyFlag = "--ready-fd="
	ReadyWord = "ready\n"
)
