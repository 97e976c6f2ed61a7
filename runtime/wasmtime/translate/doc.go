// Package translate reads a core WebAssembly module before the engine does, refuses what must not reach its compiler, and
// rewrites the rest. It has no engine, holds nothing, and is safe for concurrent use.
//
// What is refused has a place, and a reason that is a sentence: a proposal that is off (FeatureError), too much of something
// (LimitError), or bytes that are no module, or one that no engine here knows (FormatError). What the engine finds valid with the
// same proposals on is never refused by the last; types of operands the engine checks, not this package. Every number of a type,
// function, table, memory, global, tag, segment, local or label is checked, so that a module cannot reach what is added behind its
// own.
//
// # What becomes of a module
//
// All custom sections go; names of functions are kept in Info, cut. Exports go but for those that are asked for, and a
// declarative segment keeps functions valid that ref.func names. The start section becomes StartExport. Each memory.grow and
// table.grow becomes the call of an added function, which asks the host through GrowExport (grow.go). So does each memory.fill,
// memory.copy and memory.init that may write more than a MiB: its function does a MiB at a time, between which the engine looks at the
// epoch (bulk.go). What is added stands behind
// what there is, so no number changes; Info.Original tells how offsets do. A module of so many tables as may be has one more then.
//
// # Values
//
// The compiler numbers the values of a function; wasmtime 39 packs the numbers into 24 bits, and mixes values up beyond that
// (GHSA-897f-g5gm-fmxm). What it will make is counted here, and bounded by 2^22:
//
//   - parameters and results of blocks, of calls and of the function;
//   - what each instruction expands to (ops.go, read off the translation to Cranelift's code in wasmtime 48, rounded up);
//   - where branches join, one for each local that is live there: the compiler makes a parameter of the block for it before it
//     knows whether it needs one. Joins are the ends of blocks that are reached in two ways, loops (twice: the look at the epoch
//     joins too), catches, and places within instructions. Which locals are live is computed exactly, where all of them together
//     would be too many (live.go); most functions never need it.
//
// The code that the compiler makes for a module's start (elements and data whose places it does not know, globals) counts as a
// function. Against the compiler's own output (Config::emit_clif of wasmtime 48) the count was never too low: in 5,900 functions of
// a Go program, MicroPython, QuickJS and one of nextpnr's tools it was 1.5 times what translation made at least, 2.3 times in all;
// optimisation then made 2.3 times as much as translation at most. With live locals alone it is within 5 %.
//
// Handling of exceptions and branches hand values over, which takes memory and makes none: Arguments bounds those.
//
// # Bounds
//
// The most that was seen in 200 published modules, 1.4 GB, of npm and PyPI; those that need a browser included:
//
//	                          bound  seen
//	values                4,194,304  3,500,142 opencascade.js (no WASI); of WASI programs 1,113,712, Yosys
//	arguments            16,777,216  5,073,925 Yosys
//	bytes of a function   6,291,456  4,452,260 opencascade.js
//	locals                   50,000     18,603 libsql
//	blocks within            50,000      4,248 clang
//	targets of a br_table    65,536      7,537 ruff
//	functions               500,000    133,427 clang
//	types                   100,000      1,255
//	globals                 100,000     31,003 duckdb
//	imports                  10,000      8,789 PHP's intl (a library)
//	exports               1,048,576     75,111 duckdb
//	elements              1,048,576    246,781 opencascade.js
//	data segments           100,000     98,450 esbuild (the engine's own bound is the same)
//	parameters                1,000         91
//	bytes of an import's name 1,024        201
//	growths                  65,536          2
//	fills and copies      1,048,576     14,735 Yosys
//	catches                   1,000        128 Yosys
//	tables, memories             16       2, 1
//
// Time is in proportion to the module, about 200 MB a second of one processor; what makes liveness slow is bounded for the whole
// module, by some tenths of a second. Memory is the result, and some times the largest function.
package translate
