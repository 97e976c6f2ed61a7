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
// of them, not copies, so they must stay as they are. Names are copies. The functions keep no
// state and may be called from any goroutine. Their time is in proportion to the bytes, without
// those of modules, which are passed over. So is their memory, within the bounds of limits.go.
package binary
