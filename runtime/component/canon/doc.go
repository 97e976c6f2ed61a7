// Package canon moves values of components: between two component instances, and between one and
// typed Go. It knows layouts and encodings; what has handles and runs guests implements Side.
//
// # Parts
//
// A Frame is one side of a call: core values and memory. A Value is a value in a frame, and is
// lifted by its methods; a Place is where a value is lowered to. Neither allocates. Copy moves from
// a Value to a Place on another side without a Go value between them. A Call is what a host
// function gets.
//
// # Traps
//
// What a guest may not do unwinds as a panic with a *Trap. What calls this package defers Recover
// where guest code called the host, or where the host called a guest. No other panic comes from
// what a guest does.
//
// # Memory
//
// Addresses are 32 bits. Each is checked once, when a Value or Place is made of it: memory never
// gets smaller. Memory moves when guest code runs, which this package knows of its own reallocs; of
// anything else Frame.Refresh tells it.
//
// # The order of things
//
// Copy lifts a part and lowers it before it lifts the next one, where the specification lifts
// everything first. A guest sees a difference only if both sides are the same instance. There
// handles are lifted first: see CopyWithin. One difference is left: an instance that calls itself
// and gives it memory that its own allocator has not given out, and gives out during the copy,
// gets a mixture.
//
// # Bounds
//
// Strings, lists and buffers have the specification's. Besides, a call has a bound of what it moves
// and of what it makes the host keep: see bounds.go. What takes long calls Side.Poll at least once
// for each MiB.
//
// # NaN
//
// A NaN keeps its bits everywhere.
package canon
