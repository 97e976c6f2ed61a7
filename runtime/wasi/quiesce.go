package wasi

// Quiesce asks the guest to come to its end by itself: its standard input is at its end from now on, behind what was
// read of it already, and nothing more is accepted on its listening sockets, which poll as ready with the
// hang-up flag and answer sock_accept with ErrnoInval, as a listening socket does on Linux once it is shut
// down. Connections that were accepted live on.
//
// It may be called from any goroutine, any number of times, also after Close, and does not wait.
func (g *Guest) Quiesce() {
	g.stdin.finish()
	for _, l := range g.listeners {
		l.shut()
	}
}
