// Package world tells what a component is for: what it imports and exports, and whether it is a
// command or an HTTP handler.
//
// It needs a component only as Decode returns it. So it also tells of components that are not
// valid; what their exports are in truth is left to validation. All its functions are pure.
package world
