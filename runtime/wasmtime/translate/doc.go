// Package translate reads a core WebAssembly module before the engine does, refuses what must not reach its compiler, and
// rewrites the rest. It has no engine.
package translate
