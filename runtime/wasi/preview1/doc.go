// Package preview1 connects guests of WASI preview 1 (wasi_snapshot_preview1) to their host,
// package wasi. Its functions check and read the guest's memory, call the host, and write the
// results back.
//
// # Calling
//
// An engine imports each of Functions into its modules, under the module name in the table. It
// calls a function with the guest's state, its whole linear memory and the raw arguments; the upper
// half of a 32-bit argument has no meaning. A function does not trust the arguments: a pointer or a
// length outside the memory is ErrnoFault, never a panic. It writes only to the ranges that the
// guest named. It keeps no reference to the memory when it returns.
//
// A function returns the number for the guest, or an error that ends the guest: a *wasi.ExitError
// when the guest called proc_exit, wasi.ErrKilled when ctx ended in a call that blocks or works
// long.
//
// # Sockets
//
// The guest gets listening sockets at its start. Their descriptors start at 3, and the directory
// "/" follows. LISTEN_FDS and LISTEN_FDNAMES (their ports) tell the guest about them.
// fd_prestat_get returns a tag for them that differs from a directory's. So wasi-libc, Go, Rust and
// Zig, which search for directories, continue the search after them. The sockets are non-blocking
// for a guest that reads or sets their flags, as Go's runtime does. For other guests sock_accept
// waits, as C programs expect.
//
// The specification has no function that makes a socket. Those that WasmEdge has added are here,
// for guests with a network: sock_open and others, in both generations, with sock_getaddrinfo. A
// function may have the name of another one and other parameters: Function.Import is what a module
// imports, and the engine chooses by the parameters. An address is a pointer and a length, of 4, 16
// or 128 bytes. What the network denies is ErrnoAcces. A lookup that fails has a number that
// WasmEdge has added (77 to 87). Options are those of the host; the others are ErrnoNoprotoopt.
//
// # Rights
//
// Each function needs its right. Without it the error is ErrnoNotcapable. For reading and writing
// it is ErrnoBadf, as for a file that was not opened for this. path_open gives only rights that the
// directory lets inherit, and fd_fdstat_set_rights can only remove rights.
//
// # Bounds
//
// A call has at most 1024 buffers, and a poll has at most 16384 subscriptions (then ErrnoInval).
// All other bounds are those of the host.
package preview1
