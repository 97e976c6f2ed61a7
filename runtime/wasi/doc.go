// Package wasi is the WebAssembly System Interface as a host in Go: descriptors, files, clocks, random
// numbers, standard streams and polling, with the preview 1 binding of them. It names no engine: an engine
// walks Functions, imports each into its modules, and calls it with the guest's state, memory and arguments.
//
// # A guest
//
// New makes a Guest from a Config. A Guest belongs to the one thread that runs its WebAssembly; none of its
// methods and no function of the table may be called concurrently for the same Guest. Close frees its
// descriptors once it has ended.
//
// # Calling
//
// A function of the table gets the guest's whole linear memory and the raw arguments, of which the upper half of
// a 32-bit one means nothing. Nothing in them is trusted: a pointer or a length outside the memory is ErrnoFault, never a
// panic, and nothing outside the ranges that the guest named is written. The function keeps no reference to
// the memory when it returns. Its result is nil for success, an Errno for the guest, or what unwinds the
// guest: an *ExitError when it called proc_exit, ErrKilled when ctx ended in a call that blocks.
//
// Cancelling ctx is how a guest is killed: calls that may block (poll_oneoff, reads of pipes, long transfers)
// return ErrKilled at once. A write to Config.Stdout or Config.Stderr lasts as long as that writer takes.
//
// # Files
//
// The guest has one preopened directory, `/`, over a table of mounts. A path is walked in the guest's own
// namespace, component by component: mount points, `..` and symbolic links, absolute ones too, mean what
// they would mean in a container. What is left is a path inside one mount, and every access to it goes
// through that mount's os.Root, so that a directory swapped for a link at the wrong moment leads, at worst,
// to another place of the same mount. A directory that a mount point needs is made where its mount is
// writable; elsewhere it is shown as if it were there.
//
// Rights follow the current reading of preview 1: reading, writing and truncating are bound by what a
// descriptor was opened with and by fd_fdstat_set_rights; the others are recorded and reported only.
package wasi
