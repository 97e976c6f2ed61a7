// Package translate reads a core WebAssembly module before the engine does, refuses modules that
// must not reach the engine's compiler, and rewrites the others. It needs no engine, keeps no
// state, and may be used from any goroutine.
//
// An error has a position in the module (Position), and a reason: a proposal is off (FeatureError),
// there is too much of something (LimitError), or the bytes are not a module, or one that the
// supported engines do not know (FormatError). If the engine finds a module valid with the same
// proposals on, the module never gets a FormatError. The engine, not this package, checks the types
// of operands. This package checks every number of a type, function, table, memory, global, tag,
// segment, local or label, so that a module cannot use the parts that are added after its own.
//
// # How a module is changed
//
// All custom sections are removed; names of functions are kept in Info, cut. Only the exports that
// the caller asks for are kept, all of a component's part, and a declarative segment keeps
// functions valid that ref.func names. The start section becomes StartExport. Each memory.grow and
// table.grow becomes the call of an added function, which asks the host through GrowExport
// (grow.go). Each memory.fill, memory.copy and memory.init that may write more than a MiB becomes a
// call too: its function writes a MiB at a time, and the engine looks at the epoch in between
// (bulk.go). All additions stand behind what there is, so no number changes; Info.Original converts
// offsets. A module with as many tables as are allowed then has one more.
//
// # Values
//
// The compiler numbers the values of a function. wasmtime 39 packs the numbers into 24 bits, and
// confuses values with higher numbers (GHSA-897f-g5gm-fmxm). This package counts the values that
// the compiler will make, and bounds them by 2^22:
//
//   - parameters and results of blocks, of calls and of the function;
//   - the values to which each instruction expands (ops.go; taken from the translation to
//     Cranelift's code in wasmtime 48, rounded up);
//   - where branches join, one for each local that is live there: the compiler makes a parameter of
//     the block for it before it knows whether it needs one. Branches join at the ends of blocks
//     with two or more ways to them, at the beginnings of loops (these count twice, because the
//     check of the epoch joins too), at catches, and inside some instructions. If all locals
//     together would be too many, the live ones are computed exactly (live.go); most functions
//     never need that.
//
// The compiler also makes code for a module's start: for elements and data with offsets that it
// does not know, and for globals. That code counts as a function. The count was compared with the
// compiler's own output (Config::emit_clif of wasmtime 48), and was never too low. In 5,900
// functions of a Go program, MicroPython, QuickJS and one of nextpnr's tools it was at least 1.5
// times the number of values after translation, and 2.3 times for all functions together;
// optimisation then made at most 2.3 times as many as translation. If only live locals are counted,
// the error is within 5 %.
//
// Exception handling and branches also pass values on. This takes memory but makes no new values.
// Arguments bounds these.
//
// # Bounds
//
// The maxima that were seen in 200 published modules, 1.4 GB, from npm and PyPI, including those
// that need a browser:
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
// The time is proportional to the size of the module: about 200 MB a second on one processor. The
// slow part is the computation of live locals; for a whole module it is bounded to some tenths of a
// second. The memory is the size of the result, plus several times that of the largest function.
package translate
