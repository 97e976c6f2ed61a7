// Package types has the types of components with their indices resolved: what a value takes in
// memory and as core values, what a function's core type is, and when two types are the same.
//
// A Type does not change once it is made; any goroutine may use it.
package types
