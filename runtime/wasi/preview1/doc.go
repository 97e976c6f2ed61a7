// Package preview1 binds guests of WASI preview 1 (wasi_snapshot_preview1) to their host, package
// wasi. Its functions check and read the guest's memory, call the host, and write the results back.
//
// # Calling
//
// An engine walks Functions, imports each into its modules by the name of its module, and calls it
// with the guest's state, its whole linear memory and the raw arguments, of which the upper half of
// a 32-bit one means nothing. A function trusts none of them: a pointer or a length outside the
// memory is ErrnoFault, never a panic, and it writes nothing outside the ranges that the guest
// named. It keeps no reference to the memory when it returns.
//
// A function returns the number that the guest gets, or an error that ends the guest: a
// *wasi.ExitError when the guest called proc_exit, wasi.ErrKilled when ctx ended in a call that
// blocks or works long.
//
// # Sockets
//
// Preview 1 cannot make sockets, so the guest gets listening ones at its start: they are
// descriptors from 3 on, and its directory "/" follows. LISTEN_FDS and LISTEN_FDNAMES (their ports)
// tell the guest of them. fd_prestat_get gives them a tag that is not a directory's, so that
// wasi-libc, Go, Rust and Zig, which search for directories, go on behind them. They are
// non-blocking for a guest that looks at their flags or sets them, as Go's runtime does, and wait
// in sock_accept for one that never looked, as C programs expect.
//
// # Rights
//
// Each function needs its right. Without it the error is ErrnoNotcapable, or ErrnoBadf for reading
// and writing, as of a file that is not open for that. path_open gives only rights that the
// directory lets inherit, and fd_fdstat_set_rights only takes rights away.
//
// # Bounds
//
// A call names at most 1024 buffers, and a poll has at most 16384 subscriptions (then ErrnoInval).
// All other bounds are the host's.
package preview1
