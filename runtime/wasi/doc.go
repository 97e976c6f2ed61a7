// Package wasi is the host of WebAssembly guests, in Go: files, clocks, random numbers, standard
// streams, sockets and polling. It has no engine, and no version of WASI: a binding (package
// preview1) translates the calls of one version to it. Nothing here knows a guest's memory, numbers
// of descriptors, or rights.
//
// # A guest
//
// New makes a Guest from a Config. A Guest belongs to the one thread that runs its WebAssembly: its
// methods, and those of its objects, may not be called concurrently, but for Quiesce and Traffic.
// Close frees what the host holds, once the guest has ended and its objects are closed.
//
// # Errors
//
// A method returns an Error, or one of the kernel's error numbers, which ErrorOf translates, or
// what unwinds the guest: ErrKilled when ctx ended in a call that blocks or works long.
//
// # Ending a guest
//
// A guest is killed by the end of ctx. Every call sees it within 10 ms of work. Calls that block
// (polls, accepting, reads and writes of sockets and pipes, standard input) return ErrKilled at
// once. Those that work long look between two pieces of work: the steps of a walk, 256 KiB of a
// transfer, 32 KiB of output, 8 KiB of directory entries, 256 interests of a poll. Two kinds of
// calls of the kernel cannot be cut: flushes, and freeing files of more than 16 MiB. They are made
// on a thread beside, and end by themselves after a kill, or after Close. A write to Config.Stdout
// or Config.Stderr lasts as long as that writer takes.
//
// Between two pieces of work Config.Pace may hold the guest back: the processor time that a long
// call uses counts while it goes on.
//
// Quiesce comes before that, where a guest has time to end by itself: WASI has no signals, so its
// standard input ends and its listening sockets are shut.
//
// # Files
//
// The guest has one directory from its start, `/`, over a table of mounts. The host walks a path in
// the guest's own namespace, name by name: mount points, `..` and symbolic links, absolute ones
// too, mean what they would mean in a container. (The guest itself can make only relative ones.)
// The walk ends with a path of plain names inside one mount. Every access to it goes through
// openat2 below that mount's directory and refuses links, so that a directory that becomes a link
// at the wrong moment leads to an error. A path that is written as plain names is first tried that
// way, and walked only if it has a link. The host makes a directory that a mount point needs if its
// mount is writable; elsewhere it shows the directory as if it were there.
//
// A guest can open only those device files that every container has (null, zero, full, random,
// urandom), and nothing on a proc file system, which would show the guest the OS process that it
// runs in.
//
// # Bounds
//
// What one guest can make the host do in a call is bounded:
//
//	paths, targets of links, and canonical paths on the way   4095 bytes, then ErrNameTooLong
//	names                                                     255 bytes, then ErrNameTooLong
//	links in a walk                                           40, then ErrLoop
//	names in a walk, with those in links                      4096, then ErrNameTooLong
//	levels below a mount of what is made or moved             256, then ErrNameTooLong
//	entries of a directory that moves further down            131072, then ErrCrossDevice
//
// A binding bounds the buffers and the interests that it passes on. Config.OutputRate bounds what a
// guest writes to its standard streams: it makes the guest wait.
//
// What one guest can make the host hold, outside its own memory, is bounded too. The rows include
// what preview 1 keeps:
//
//	descriptors   1024 of some 300 bytes each (Config.MaxDescriptors, then ErrTooManyOpen). All
//	              guests together share Config.Files: a guest gets more while it holds less than is
//	              free, then ErrNoFiles
//	paths         1 MiB of directories that are open (then ErrNoMemory), 32 KiB in a call
//	entries       8 KiB of the directory that was listed last; 8 KiB to measure a tree
//	input         64 KiB read ahead
//	polls         2 MiB during a call, 128 KiB afterwards
//	transfers     24 KiB of what names the buffers; the kernel moves the bytes themselves
//	a walk        4 open directories, during the call
//	arguments, environment   2 MiB each, as they were given
//	mounts        their number and paths, as they were given: 4095 bytes and 256 levels each
package wasi
