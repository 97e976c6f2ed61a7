// Package golang writes Go for the interfaces of WIT packages: the types, the interfaces that a
// host implements, a stub for each function, and the table of all functions. What it writes stands
// on runtime/component/typed.
package golang
