// Package guests builds the WebAssembly programs that tests and the demo run. It is imported by
// tests only.
//
// The programs written in Go are main packages below this folder:
//
//	hello [COUNT [INTERVAL]]   prints a numbered greeting COUNT times (0, the default, means for ever)
//	                           every INTERVAL (1s)
//	kitchen COMMAND [ARG…]     one small command per thing that a test wants a guest to do
//	serve                      serves HTTP on the listening sockets that it is handed
//
// Compiling a Go program to machine code takes seconds; where any container will do, Tiny is a
// module of a few hundred bytes that compiles in milliseconds.
package guests
