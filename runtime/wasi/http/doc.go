// Package http has what the HTTP messages of WASI 0.2 and 0.3 share: fields with their rules, the
// rules for the parts of requests, the bounds of both, what is between a server and a guest, and
// what sends a guest's requests. It knows no binding: what a guest calls is in packages p2 and p3.
// Nothing here blocks but Sender.Close.
//
// # Fields and bounds
//
// One Room counts what one guest has. It, and the fields and texts that it counts, may not be used
// from two goroutines at once.
//
// # Between a server and a guest
//
// An Exchange is one request with its answer, and a Pipe a body. Their methods may be called on any
// goroutine: the server has one end, the guest the other. Who waits gives a function, which the
// other end calls on its own goroutine, not under a lock: it may call back.
//
// An Outgoing is a request that the guest sends: there the guest writes the request, and a
// goroutine of the Sender the response.
//
// The server makes the Exchange with its pipes, and calls Free in the end. A guest that keeps its
// end after that meets a closed one.
package http
