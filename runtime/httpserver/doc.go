// Package httpserver stands before a handler of HTTP requests whose clients are not trusted: it
// listens, speaks TLS, HTTP/1.1 and HTTP/2, and holds the bounds of runtime.HTTP. It knows nothing
// of WebAssembly.
//
// net/http does the work. This package adds what it does not do: one strict reading of HTTP/1
// framing (guard.go), time-outs that a client renews only while bytes move, a bound of connections,
// an end that loses no request, and a certificate that is read again when it changes.
//
// # Requests
//
// The handler gets requests that have a valid target and authority, and no fields that concern
// only the connection. RequestURI is always the path with the query. These never reach it: CONNECT
// (501), TRACE (405), "OPTIONS *" (200), bodies above the bound whose length is known (413), and
// what is malformed (400). An answer that begins before the body of an HTTP/1.1 request was read
// says "Connection: close", as its rest must not be taken for the next request; only if all of the
// rest has arrived and is short, it is kept for the handler, and the connection stays.
//
// A request's body and its answer may be used on two goroutines at once. The handler must wait for
// both before it returns; Interrupt makes them return. An answer gets no Content-Type that the
// handler did not give.
//
// # Memory
//
// What connections and heads of requests hold is taken from Config.Memory, as measured: 4096
// clients could make net/http hold 3 GB otherwise. The memory of an HTTP/1 head follows its bytes
// as they come. A connection of HTTP/2 has that of one head and of its tables from its start, and
// that of one buffer while it has requests with bodies.
//
// # Ending
//
// After Drain, a listener goes on for a moment: it closes when no connection came for 250 ms,
// after 5 s at the latest. Connections that wait in the kernel would be reset otherwise, and
// routers learn late that a pod ends. Each connection of HTTP/1.1 gets "Connection: close" with
// its next answer, and is closed when it has rested for a second: a client that sends on it at
// that moment would lose its request, and after a second of rest that is as unlikely as at any
// idle time-out. The socket is looked at once more before it is closed. HTTP/2 has GOAWAY at once,
// with the last stream that was seen; clients repeat what came after it. Drained is closed when no
// connection is left.
//
// # Blocking and ownership
//
// Serve and ServeTLS own the listener, and do not wait. Drain does not wait. Close ends connections
// and the contexts of requests, and waits for all goroutines: handlers must then return. Record and
// ErrorLog are called on goroutines of the server, must not wait for long, and may be called
// concurrently. All methods may be called concurrently.
package httpserver
