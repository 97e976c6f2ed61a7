// Package admission says how many guests this system allows, and counts the guests that exist.
//
// # What it promises
//
// Capacity reads once what limits the process: memory areas, threads, memory, addresses, open files
// (capacity.go). Above some of these limits the process would not get an error, but would exit,
// with all guests. So the capacity stays below all of them, and reserves a part for the rest of the
// process. A limit that cannot be read is ignored. If other processes later use more than the
// reserved part, the capacity is too high.
//
// Slots counts in units of one plain guest (slots.go). A guest with several memories takes several
// slots. Its methods may be called from any goroutine, and never block.
package admission
