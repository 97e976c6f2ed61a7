// Package guests builds the WebAssembly programs that tests and the demo run. Only tests import it.
//
// The programs written in Go are main packages below this folder:
//
//	hello [COUNT [INTERVAL]]   prints a numbered greeting COUNT times (default 0: for ever), one
//	                           every INTERVAL (default 1s)
//	experimental METHOD URL [BODY]
//	                           sends an HTTP request as guests of Krustlet did
//	kitchen COMMAND [ARG…]     has a small command for each thing that a test wants a guest to do
//	pods [SERVER]              lists the pods of its namespace, with client-go
//	serve                      serves HTTP on the listening sockets that it gets
//
// Component gives a component that is written in WAT, and Wrapped a Go program as a component of
// WASI 0.2. Both need nothing but Go. The folders js, python and rust have programs whose
// components need more than Go: build.sh in each says what, and builds them.
//
// Compiling a Go program to machine code takes seconds. If any container will do, use Tiny: a
// module of a few hundred bytes that compiles in milliseconds.
package guests
