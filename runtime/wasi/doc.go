// Package wasi is the WebAssembly System Interface as a host in Go: descriptors, files, clocks, random
// numbers, standard streams, sockets and polling, with the preview 1 binding of them. It names no engine: an
// engine walks Functions, imports each into its modules, and calls it with the guest's state, memory and arguments.
//
// # A guest
//
// New makes a Guest from a Config. A Guest belongs to the one thread that runs its WebAssembly; none of its
// methods but Quiesce and Traffic, and no function of the table, may be called concurrently for the same Guest. Close frees
// its descriptors once it has ended.
//
// # Calling
//
// A function of the table gets the guest's whole linear memory and the raw arguments, of which the upper half of
// a 32-bit one means nothing. Nothing in them is trusted: a pointer or a length outside the memory is ErrnoFault, never a
// panic, and nothing outside the ranges that the guest named is written. The function keeps no reference to
// the memory when it returns. Its result is nil for success, an Errno for the guest, or what unwinds the
// guest: an *ExitError when it called proc_exit, ErrKilled when ctx ended in a call that blocks.
//
// # Ending a guest
//
// Cancelling ctx is how a guest is killed. Every call sees it within 10 ms of work: calls that block (poll_oneoff,
// accepting, reads and writes of sockets and pipes, standard input) return ErrKilled at once, and those that work long
// look between the pieces: the steps of a walk, 256 KiB of a transfer, 32 KiB of output, 8 KiB of directory entries, 256
// subscriptions. Flushes, and freeing files of more than 16 MiB, are calls of the kernel that cannot be cut: they are made
// on a thread beside, and end by themselves after a kill, or after Close. A write to Config.Stdout or Config.Stderr lasts as
// long as that writer takes.
//
// Between those pieces Config.Pace may hold the guest back: what a long call uses of the processor counts as it goes.
//
// Quiesce comes before that, where a guest is given time to end by itself: WASI has no signals, so its standard input
// ends and its listening sockets are shut.
//
// # Files
//
// The guest has one preopened directory, `/`, over a table of mounts. A path is walked in the guest's own
// namespace, component by component: mount points, `..` and symbolic links, absolute ones too, mean what
// they would mean in a container. (The guest itself makes relative ones only.) What is left is a path of plain
// names inside one mount, and every access to it goes through openat2 below that mount's directory with links
// refused, so that a directory swapped for a link at the wrong moment leads to an error. A path that is written as
// plain names is tried that way at once, and walked only where it has a link. A directory that a mount point
// needs is made where its mount is writable; elsewhere it is shown as if it were there.
//
// Of device files only those that every container has can be opened (null, zero, full, random, urandom), and
// nothing on a proc file system, which would show the guest the process that it runs in.
//
// # Sockets
//
// Preview 1 cannot make sockets, so they are handed over: Config.Listeners are descriptors from 3 on, and the
// preopened directory comes after them. LISTEN_FDS and LISTEN_FDNAMES (their ports) tell of them;
// fd_prestat_get gives them a tag that is not a directory's, at which the search of wasi-libc, Go, Rust and
// Zig for directories goes on. They are non-blocking for a guest that looks at its flags or sets them, as Go's
// runtime does, and wait in sock_accept for one that never looked, as C programs expect.
//
// # Rights
//
// Each function needs its right: without it the call is ErrnoNotcapable, or ErrnoBadf for reading and writing, as
// of a file that is not open for that. path_open gives no right that the directory does not let inherit, and
// fd_fdstat_set_rights only takes away.
//
// # Bounds
//
// What one guest can make the host do in a call is bounded: paths, targets of links, and canonical paths on the way (4095
// bytes, ErrnoNametoolong), names (255 bytes, ErrnoNametoolong), links in a walk (40, ErrnoLoop), names in a walk with those
// in links (4096, ErrnoNametoolong), levels below a mount of what is made or moved (256, ErrnoNametoolong), entries of a
// directory that moves further down (131072, ErrnoXdev), buffers (1024, ErrnoInval), subscriptions (16384, ErrnoInval).
// Config.OutputRate bounds what it writes to its standard streams by making it wait.
//
// So is what one guest can make the host hold, outside its own memory:
//
//	descriptors   1024 of some 300 bytes each (Config.MaxDescriptors, then ErrnoMfile; all guests together share
//	              Config.Files, of which a guest gets more while it holds less than is free, then ErrnoNfile)
//	paths         1 MiB of directories that are open (then ErrnoNomem), 32 KiB in a call
//	entries       8 KiB of the directory that was listed last; 8 KiB in a call that measures a tree
//	input         64 KiB read ahead
//	poll_oneoff   2 MiB during a call, 128 KiB afterwards
//	transfers     nothing: the kernel reads and writes the guest's memory
//	a walk        4 open directories, during the call
//	arguments, environment   2 MiB each, as they were given
//	mounts        their number and paths, as they were given: 4095 bytes and 256 levels each
package wasi
