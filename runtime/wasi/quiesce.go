package wasi

// Quiesce asks the guest to end by itself: its standard input ends behind what was read of it so
// far, and its listening sockets accept no more. They poll as ready with a hang-up, and Accept
// returns ErrInvalid, as of a listening socket on Linux that was shut down. Connections that were
// accepted live on.
//
// It may be called from any goroutine, any number of times, also after Close, and does not wait.
func (g *Guest) Quiesce() {
	g.stdin.finish()
	for _, l := range g.listeners {
		l.shut()
	}
}
