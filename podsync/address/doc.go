// Package address gives pods addresses of their own: a Pool chooses them, and MakeLocal makes the
// kernel take a range for its own.
//
// A Pool does no I/O. It gives no address to two owners at one time. It gives an address again only
// after it has given all others. It does not outlive its process: the next process calls Keep with
// the addresses that pods have, before it calls Take. A Pool is safe for concurrent use.
//
// One route, `local RANGE dev lo`, makes a range local: from then on programs can listen on every
// address of it and reach it. So an address costs nothing more for each pod. The route stays when
// the process ends, as guests do. It is removed when the machine restarts, or by hand (`ip route
// del local RANGE dev lo`). Ranges of 127.0.0.0/8 are always local.
package address
