// Package command makes programs of components: WASI commands and HTTP handlers. A component's file
// is read, validated, linked and bound to the host's functions of WASI 0.2 and 0.3. Then it can be
// run any number of times. It has no engine.
//
// A Program does not change; any goroutine may use it. A Host belongs to one instance: see packages
// p2 and p3. A Handler is an instance that answers requests; package handler drives it.
//
// Load reads what anyone may have written. It takes time and memory in proportion to the file, and
// both are bounded: see package binary and package validate.
package command
