// Package handler has instances of a component answer HTTP requests. It makes them when there are
// requests, keeps them for the next ones, and ends them. It has no engine and no sockets: a Pool is
// an http.Handler for a server, and gets the machines that instances run on.
//
// # Who runs the guest
//
// The goroutine on which the server calls ServeHTTP runs the guest itself, locked to its thread: a
// request needs no other goroutine, unless it has a body, which is read by one of its own. An
// instance of WASI 0.2 answers one request at a time, so nothing else uses it meanwhile. What the
// guest sends is written within its host calls. An instance of WASI 0.3 answers several. One of
// their goroutines has the turn and drives all of them; the others wait for their answers, which
// each writes to its own client, so that a slow client does not stop the others.
//
// # Ends
//
// A trap, a time-out, and more memory than there is end an instance, and all requests that it
// answers. A request whose client has gone has a while to end. ServeHTTP returns when nothing uses
// the request any more. Drain does not exist here: the server stops to accept. Close kills all
// instances and waits for them.
package handler
