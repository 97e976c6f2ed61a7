package wire

// Sizes of what is on its way. A guest whose stream is not read waits once StreamWindow bytes of
// the stream are on their way. It never makes other streams wait: gRPC bounds a connection by what
// arrives, and not by what is read.
const (
	StreamWindow = 1 << 20
	ConnWindow   = 16 << 20
	IOBuffer     = 128 << 10
	MaxMessage   = 64 << 20 // to a worker: environments may be large
	MaxAnswer    = 8 << 20  // from a worker: 256 runs with all that can be said of them
	MaxHeader    = 16 << 10 // from a worker: it has the text of an error
)

// Chunk is how much of a stream goes into one message.
const Chunk = 64 << 10
