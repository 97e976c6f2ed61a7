// Package p3 connects components of WASI 0.3 to their host, package wasi. It implements the
// interfaces that hack/witgen made of WIT (package bindings). WASI 0.2 is package p2; both serve
// one wasi.Guest, and what they share of files is package descriptor.
//
// # Turns
//
// Everything here happens in the turn of the component's instance, but goroutines that only wait
// and then post: a timer's, one that reads the guest's input ahead (wasi.Input), one that waits for
// FIFOs and sockets (their Watch), lookups of names, and flushes. Nothing of it touches the guest.
// So a function of the host does not wait in the turn, with these exceptions: what the disk takes,
// the freeing of a file of more than 16 MiB, flushes beyond 16 at a time, and a write to
// Config.Stdout or Stderr, which lasts as long as the writer takes.
//
// A function that is async in WIT answers at once, unless it waits for a time, a flush, a name or a
// socket.
//
// # Streams
//
// A stream moves values when both sides are ready, and keeps none. One that the host writes looks
// at what the guest's read has room for, and takes just that of the file, directory or input: up to
// 64 KiB, or 256 entries. What the guest did not read stays where it was, so the next stream of the
// input begins where the last one ended. One that the host reads takes what the guest's write has,
// up to 64 KiB in a piece, when the output has room for it: while the log's rate is used up, or a
// FIFO is full, the guest's write waits. Between two pieces the host looks whether the guest was
// killed, and after 1 MiB without the guest others get their turn.
//
// The exceptions hold little: 4 KiB for a FIFO, and 4 KiB or 16 entries while a guest reads nothing
// to learn whether there is something.
//
// The future of a stream gets its value when the stream has ended: at the end of the values, when
// the guest drops its end, or with an error. If the guest drops its end of a stream to the host,
// all of its bytes are written before. A stream keeps its file open, and goes on after the
// descriptor was dropped.
//
// # Sockets
//
// The wasi.Network decides what sockets may do; without one, to make a socket or to look up a name
// is access-denied. A socket, its streams and its calls share a descriptor, which is closed after
// the last of them; so the streams of a socket take no room. The end of a stream ends its direction
// of the connection. Connections are accepted when the guest reads them, up to 16 at once; if it
// has no room for another one, it is tried again every 100 ms. Calls that wait for a datagram get
// them in their order. Datagrams that find the kernel's buffer full wait, 1 MiB of them, then the
// error is out-of-memory. A connection that is not allowed any more ends with connection-reset.
// flow-info and scope-id of IPv6 have no meaning.
//
// # The end
//
// A kill, by the end of the context or of the instance, ends every call and stream at once. A flush
// that runs goes on to its end on a copy of the descriptor. Exit unwinds the guest with a
// wasi.ExitError. After the instance was closed, Close stops timers and closes what is open; the
// goroutines end with it, and the one that reads ahead when its read returns.
//
// # Bounds
//
//	streams             each takes the room of one of the guest's descriptors; then its future says
//	                    insufficient-memory
//	timers              those of calls that are answered later: 16384, then the guest traps
//	futures             ends that the host holds, those of streams too: 16384, then a trap
//	HTTP                4096 objects, with 128 KiB of fields for each and 4 MiB together: then a
//	                    function answers size-exceeded or an error, or the guest traps
//	random bytes        64 KiB in a call, then fewer than asked for
//	memory of the host  wasi.Guest.Scratch for all streams together, and what is above
//
// All other bounds are those of the host, and of package instance.
//
// # HTTP handlers
//
// Host.Request makes the request of an exchange, and Respond and Fail take what the guest's
// function returned. All are called in the turn. The request's body is read from the exchange when
// the guest reads it, and the response's is written when the guest writes it, as far as the pipe
// has room. The server is told of an answer when the tasks that run have waited or ended, and at
// the end.
//
// An exchange ends once: with the whole answer and its trailers, with an error, or soon after the
// server closed the answer. With it the request's body ends for the guest, too, and nothing here
// uses the pipes any more. If the instance gets a fault, its exchanges have no end: the caller has
// them fail. The future of a response says how it was sent, when all of it is in the pipe.
//
// # HTTP requests
//
// SendBy has requests sent by an http.Sender; without it they are HTTP-request-denied. The response
// comes when the server has sent its head, and bodies move as those of handlers do. The future of a
// request says how it was sent: that all of it was, and there is a response. A request that the
// guest got may be sent on, and a response that it got may be its answer: the bodies then move from
// pipe to pipe, in the turn, and the instance goes on until they have ended.
//
// # What is denied
//
// To call another handler is HTTP-request-denied. The body of a message that a guest made can be
// consumed again.
package p3
