// Package p2 connects guests of WASI 0.2 to their host, package wasi. It implements the interfaces
// of package bindings for one guest.
//
// # Calling
//
// New makes a Host of a wasi.Guest, which was made with Config.Confined. What runs a component
// gives it, or a type that embeds it, to the functions of the table (bindings.Table). As with the
// wasi.Guest, only one call runs at a time. The host of WASI 0.3 may use the same wasi.Guest; each
// closes what the guest opened through it, and the owner of the wasi.Guest calls CloseInitial and
// Close of that in the end.
//
// A function returns an error of its interface, or an error that ends the guest: a *wasi.ExitError
// when the guest called exit, wasi.ErrKilled when the context ended in a call that blocks or works
// long, and any other error for a guest that broke a rule of WIT. The texts of errors have no
// names of the host.
//
// # Blocking
//
// Functions block where WIT says so, and then in package wasi: a kill ends them at once, and
// Quiesce ends standard input. Besides, a write to standard output lasts as long as its writer and
// the guest's rate require. Nothing else of the component runs while a function blocks.
//
// # Resources
//
// The guest may drop resources in any order. A file stays open until its descriptor, its streams
// and their pollables are dropped. A stream of directory entries shares its directory in the same
// way. Standard streams are not closed by a drop, and get-stdout may be called again.
//
// # Streams
//
// A stream holds no bytes. A read returns up to 64 KiB. check-write permits up to 1 MiB, or 4096
// bytes for a FIFO, and the guest traps if it writes more than it was permitted. A write that
// failed closes its stream. An input stream of a file returns the error closed at the end of the
// file, and bytes again if the file has grown.
//
// # Files
//
// The guest has one directory, "/", and the mounts are below it. What descriptors, flags and paths
// mean, package descriptor says. A name on the disk that is not UTF-8 is illegal-byte-sequence; a
// stream of entries goes on after it.
//
// The environment has PWD if the container has a working directory, as in preview 1. The time zone
// is UTC. No stream is a terminal.
//
// # Handlers
//
// Incoming makes the arguments of wasi:http/incoming-handler for an http.Exchange. One exchange at
// a time is the guest's. The server is told of what the guest wrote when the guest flushes, waits
// for anything, or finishes its body; other writes only fill the pipe. What is written to a body
// before its response is given, is kept: up to 64 KiB for a body, and 256 KiB together. A blocking
// write beyond it fails, as only the guest itself could make room.
//
// A finish ends the stream of its body, even if the guest still has that. What was not read of a
// request's body is lost then, and the trailers come after it. A client that is gone is an error of
// the streams, and none of finish.
//
// What the guest keeps of an exchange that is over counts as its HTTP objects, and has no effect.
//
// # Sockets
//
// The wasi.Network decides what sockets may do; without one, to make a socket or to look up a name
// is access-denied. Binding and listening are done when they are started, so their finish has only
// the result. A socket, its streams and their pollables share a descriptor, which is closed after
// the last of them. A dropped stream ends its direction of the connection, as shutdown does. What
// check-write permits, the kernel takes at once, except when it has very little memory: then a
// write waits. A stream whose connection is not allowed any more fails with connection-reset.
//
// flow-info and scope-id of IPv6 have no meaning.
//
// # HTTP requests
//
// SendBy has requests sent by an http.Sender; without it they are HTTP-request-denied. What is
// written to a body before its request is sent, is kept as that of a response is. Then it goes to
// the server as fast as that takes it, and the response comes as fast as the guest reads it. To
// drop the future, or all of a response, ends the request.
//
// # Bounds
//
// The rows of package wasi hold. Besides, a guest holds at most
//
//	32768 pollables, 32768 streams, 4096 streams of directory entries, 4096 errors
//	1024 handles of its first directory, 1024 of the network
//	4096 HTTP objects, with 128 KiB of fields for each and 4 MiB together
//
// A function that has an error for it returns insufficient-memory; else the guest traps. A call
// has at most 16384 pollables and 16 MiB of random bytes, else the guest traps. It sends and
// receives at most 16 datagrams, and 128 KiB of them. The host keeps 64 KiB for data and 128 KiB
// for polls between calls.
package p2
