package binary

// Bounds of what is read. They hold for a file: a component with all that is in it, or a module.
// Linkers' own bounds of the same kind are those of wasm-tools: 1,000 modules, components and
// instances, and 1,000,000 types and functions.
//
// A definition takes up to 150 bytes in memory, and there is one whose binary is a single byte (a
// built-in). An item of a list takes at most 24 bytes for each of its binary's. So what is decoded
// takes less than maxDefinitions times 150 and maxItems times 24 bytes, and names that are no
// longer than the binary: 60 MiB and the names.
const (
	// maxBytes: the engine has the same bound for a module. Python with numpy has 50 MB.
	maxBytes = 1 << 30
	// maxDefinitions counts those of components, and declarations in types. The most are aliases of
	// symbols where libraries are linked dynamically (Python): tens of thousands.
	maxDefinitions = 250_000
	// maxItems counts all items of all lists: arguments, fields, cases, labels, parameters, options.
	maxItems = 1 << 20
	// maxComponents and maxModules: Python with its extensions has 60 modules, and composed programs
	// have some components.
	maxComponents = 1000
	maxModules    = 1000
	// maxNesting is how deep components may stand in components, and types in types. Tools that
	// compose programs nest three or four deep. The decoder and all behind it may recurse.
	maxNesting = 100
	// maxCustoms counts custom sections of components. Tools write some for each component.
	maxCustoms = 10_000
	// maxName is the length of a name in bytes. Names in C++ that are mangled have a few thousand.
	maxName = 1 << 14
	// maxModuleImports and maxModuleExports are those of one core module. The most that was seen is
	// 8,789 and 75,111. The engine's bounds of imports are the same.
	maxModuleImports = 10_000
	maxModuleExports = 250_000
)
