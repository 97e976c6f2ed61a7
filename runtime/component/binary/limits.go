package binary

// Bounds of what is read. They hold for a component with all that is in it, without its core
// modules, and for all core modules of a component together. The most that was seen, in programs
// that componentize-py 0.25 and componentize-js 0.23 made of a few lines, of 18 and 12 MB:
//
//	                         bound   Python  JavaScript
//	definitions            100,000    2,144         624
//	items of lists         524,288    2,383         754
//	the same in modules    524,288   11,762       1,290
//	core modules             1,000       14           4
//	components               1,000        2           1
//	functions of a module  500,000  133,427 (clang)
//
// A definition takes up to 150 bytes in memory, and there is one whose binary is a single byte (a
// built-in). An item takes up to 24 bytes for each of its binary's, and in core modules 50. So what
// is decoded takes less than 32 MiB, what is read of modules less than 80 MiB, and names take as
// much as in the binary. The Python program takes less than 3 MiB.
const (
	// maxBytes: the engine has the same bound for a module.
	maxBytes = 1 << 30
	// maxDefinitions counts those of components, and declarations in types.
	maxDefinitions = 100_000
	// maxItems counts all items of all lists: arguments, fields, cases, labels, parameters, options.
	maxItems = 1 << 19
	// maxComponents and maxModules are those of wasm-tools.
	maxComponents = 1000
	maxModules    = 1000
	// maxNesting is how deep components may stand in components, and types in types. Tools that
	// compose programs nest three or four deep. The decoder and all behind it may recurse.
	maxNesting = 100
	// maxCustoms counts custom sections of components. Tools write two or three for each component.
	maxCustoms = 10_000
	// maxName is the length of a name in bytes. Mangled names of C++ have some thousands.
	maxName = 1 << 14
	// maxFunctions counts functions that a core module defines. The engine's bound is the same.
	maxFunctions = 500_000
)
