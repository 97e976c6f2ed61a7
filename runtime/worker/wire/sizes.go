package wire

// Sizes of what is under way. A stream that is not read holds its guest back after StreamWindow bytes; it never holds
// other streams back, since gRPC bounds the connection by what arrives and not by what is read.
const (
	StreamWindow = 1 << 20
	ConnWindow   = 16 << 20
	IOBuffer     = 128 << 10
	MaxMessage   = 64 << 20 // to a worker: environments may be large
	MaxAnswer    = 8 << 20  // from one: 256 runs with all that can be said of them
	MaxHeader    = 16 << 10 // from one: the text of an error among it
)
