// Package binary reads the binary form of components into definitions, in their order. What the
// format allows but no component may have is left to validation.
//
// Decode reads a component, and ReadCore what validation needs of a core module. Both are strict:
// each number, name, section and byte must be as the format says. They refuse what the format has
// and does not run here (values, start functions, resources that i64 stands for), and more of
// anything than limits.go allows. An *Error says where and why. Names and Producers are for people:
// they take what can be read.
//
// What is decoded refers to the bytes that Decode was given: modules and custom sections are slices
// of them, not copies, so they must stay as they are. Names are copies. Everything may be called
// from any goroutine. Time is in proportion to the bytes; code and data of modules are passed over
// and cost none. So is memory, within the bounds of limits.go.
package binary
