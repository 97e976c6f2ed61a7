// Package address gives pods addresses of their own: a Pool says which, MakeLocal has the kernel take a range for its
// own.
//
// A Pool does no I/O. It gives no address twice at one time, and none again before it has given all others. It forgets
// everything with its process: who begins again says with Keep what pods have from before, before it takes anything. It is
// safe for concurrent use.
//
// A range is made local by one route, `local RANGE dev lo`: from then on every address of it can be listened on and
// reached, and a pod's address costs nothing to set up. The route stays when the process ends, as guests do; it goes with
// the machine's next start, or by hand (`ip route del local RANGE dev lo`). Ranges of 127.0.0.0/8 are local as they are.
package address
