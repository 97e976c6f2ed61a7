// Package wasi is the host of WebAssembly guests, in Go: files, clocks, random numbers, standard
// streams, sockets and polling. It depends on no engine, and on no version of WASI: a binding
// (packages preview1, p2 and p3) translates the calls of one version. This package does not know a
// guest's memory, descriptor numbers, or rights. Several bindings may serve one guest.
//
// # A guest
//
// New makes a Guest from a Config. A Guest belongs to the one thread that runs its WebAssembly. Its
// methods, and those of its objects, must not be called concurrently, except Quiesce and Traffic.
// Close frees the host's resources. It is called after the guest has ended and its objects are
// closed.
//
// # Beside the guest
//
// A component goes on while a part of it waits. For it there are calls that do not wait:
// Input.Peek, Output.Grant, and those of FIFOs and sockets without blocking. When to try again, a
// function is told that the binding gives: Input.Notify, the Watch of a file or socket, SyncLater.
// It runs on another goroutine, and must not call the guest. One goroutine reads the input ahead,
// and each flush and lookup has one. Close ends them, but a flush goes on to its end, and a read of
// the input until it returns. FIFOs and sockets of all guests of the OS process have one goroutine
// together, which stays, and no thread.
//
// A Signal is something else of the host that the guest waits for, as the body of a request is: a
// poll waits for it together with files and times.
//
// # Errors
//
// A method returns an Error, or one of the kernel's error numbers, which ErrorOf translates, or an
// error that unwinds the guest: ErrKilled when ctx ended in a call that blocks or works long.
//
// # Ending a guest
//
// A guest is killed by the end of ctx. Every call notices it within 10 ms of work. Calls that block
// (polls, accepting, reads and writes of sockets and pipes, standard input) return ErrKilled at
// once. Calls that work long check ctx between two pieces of work: the steps of a walk, 256 KiB of
// a transfer, 32 KiB of output, 8 KiB of directory entries, 256 interests of a poll. Two kinds of
// system calls cannot be split: flushes, and freeing files of more than 16 MiB. They run on a
// separate thread, and end by themselves after a kill, or after Close. A write to Config.Stdout or
// Config.Stderr lasts as long as the writer takes.
//
// Between two pieces of work Config.Pace may make the guest wait, because the processor time of a
// long call counts while the call runs.
//
// If a guest has time to end by itself, Quiesce is called before the kill. WASI has no signals, so
// Quiesce ends the guest's standard input and shuts its listening sockets.
//
// # Sockets
//
// A TCP is a listening socket or a connection; a UDP sends and receives datagrams. Config.Network
// decides about each of them, and says which addresses of the host the guest's stand for; without
// it a guest can make none. The guest sees the address that it bound a socket to, and the one that
// it connected to, even if that is of a Service and leads elsewhere. What the Network does not
// allow any more is cut: both ends of a connection get a reset.
//
// A peer of a listening socket is connected before the Network can be asked, as the kernel does
// that. If it is not allowed, it gets a reset, and the guest does not see it. Datagrams that are
// not allowed are lost.
//
// A socket of UDP has flows, as a firewall has: all datagrams to an address take one way, answers
// to the guest seem to come from where it sent to, and who was allowed to ask may be answered.
//
// # Files
//
// The guest has one directory from its start, `/`, above a table of mounts. The host walks a path
// in the guest's own namespace, name by name: mount points, `..` and symbolic links, even absolute
// ones, mean what they would mean in a container. (The guest itself can make only relative links.)
// The result of the walk is a path of plain names inside one mount. Every access to it goes through
// openat2 below that mount's directory and refuses links. So if a directory becomes a link at the
// wrong moment, the result is an error. A path that consists of plain names is first opened
// directly, and walked only if it has a link. If a mount point needs a directory, the host makes it
// if the mount around it is writable. Otherwise it shows the directory as if it existed.
//
// A Tree has what New finds out about mounts. It does not change, and guests on many threads may
// have the same one. Each opens the mounts' directories for itself, without following links, so a
// Tree gives no guest more than its mounts would now.
//
// Config.Confined is for components, which pass directories to each other: then no path leads above
// the directory where it begins, not even through a link, and `..` at the root is an error.
//
// A guest can open only those device files that every container has (null, zero, full, random,
// urandom), and nothing on a proc file system, because that would show the guest's own OS process.
//
// # Bounds
//
// The work that one guest can cause in a call is bounded:
//
//	paths, targets of links, and canonical paths on the way   4095 bytes, then ErrNameTooLong
//	names                                                     255 bytes, then ErrNameTooLong
//	links in a walk                                           40, then ErrLoop
//	names in a walk, with those in links                      4096, then ErrNameTooLong
//	levels below a mount for new or moved entries             256, then ErrNameTooLong
//	entries of a directory that moves further down            131072, then ErrCrossDevice
//
// A binding bounds the buffers and the interests that it passes on. Config.OutputRate bounds a
// guest's output to its standard streams by making the guest wait.
//
// The host memory and descriptors that one guest can use, outside its own memory, are bounded too.
// The rows include the data of preview 1:
//
//	descriptors   1024 of some 300 bytes each (Config.MaxDescriptors, then ErrTooManyOpen). All
//	              guests together share Config.Files: a guest gets more while it holds less than is
//	              free, then ErrNoFiles
//	paths         1 MiB of open directories (then ErrNoMemory), 32 KiB in a call
//	entries       8 KiB of the directory that was listed last; 8 KiB to measure a tree
//	input         64 KiB read ahead
//	polls         2 MiB during a call, 128 KiB afterwards
//	transfers     24 KiB for the list of buffers; the kernel moves the bytes themselves
//	a walk        4 open directories, during the call
//	arguments, environment   2 MiB each, as given
//	sockets       1 MiB in the kernel for each direction, if the guest chooses; 4096 connections
//	              that wait to be accepted
//	flows of UDP  4096 of some 400 bytes, then others are forgotten
//	lookups       64 under way, then ErrNoBuffers; 64 addresses of each
//	mounts        their number and paths, as given: 4095 bytes and 256 levels each
package wasi
