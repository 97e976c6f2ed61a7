package wire

// Sizes of messages and streams. A guest must wait when StreamWindow bytes of a stream are on their
// way and the stream is not read. It never makes other streams wait, because gRPC bounds a
// connection by the bytes that arrive, and not by those that are read.
const (
	StreamWindow = 1 << 20
	ConnWindow   = 16 << 20
	IOBuffer     = 128 << 10
	MaxMessage   = 64 << 20 // to a worker: environments may be large
	MaxAnswer    = 8 << 20  // from a worker: 256 runs with all their data
	MaxHeader    = 16 << 10 // from a worker: it contains the text of an error
)

// Chunk is how many bytes of a stream one message carries.
const Chunk = 64 << 10
