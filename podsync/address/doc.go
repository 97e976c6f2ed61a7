// Package address gives pods addresses of their own. A Pool chooses the addresses. MakeLocal makes
// the kernel treat a range as addresses of this machine.
//
// A Pool does no I/O. It never gives one address to two owners at the same time. It gives an
// address again only after it has given all others. A Pool does not outlive its process: the next
// process calls Keep with the addresses that pods have, before it calls Take. A Pool is safe for
// concurrent use.
//
// One route, `local RANGE dev lo`, makes a range local: from then on programs can listen on every
// address of the range and reach it. So one more pod needs nothing more in the kernel. The route
// stays when the process exits, because guests may still run. It is removed when the machine
// restarts, or by hand (`ip route del local RANGE dev lo`). Ranges of 127.0.0.0/8 are always local.
package address
