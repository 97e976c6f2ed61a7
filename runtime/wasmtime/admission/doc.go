// Package admission says how many guests this system can bear, and counts those that there are.
//
// # What it promises
//
// Capacity looks once at what bounds the process: memory areas, threads, memory, addresses, open
// files (capacity.go). Beyond some of these bounds the process would not get an error: it would
// exit, with all guests. So the capacity keeps away from all of them, and leaves a part for the
// rest of the process. A bound that cannot be read does not count. What other processes take later
// is only foreseen as far as that part goes.
//
// Slots counts in units of one plain guest (slots.go). A guest with more memories takes more of
// them. Its methods may be called from any goroutine, and never block.
package admission
