package translate

// Limits bound a module. A field that is 0 stands for its default.
type Limits struct {
	// Values bounds, for each function, the values that the compiler makes of it: see the package's text.
	Values uint64
	// Arguments bounds, for each function, what its branches hand over together.
	Arguments uint64
	BodyBytes uint64 // of each function
	Locals    uint64 // of each function, parameters included
	Nesting   uint64 // of blocks, in each function
	Targets   uint64 // of each br_table

	Functions, Types, Globals, Imports, Exports, Tags uint64
	Tables, Memories                                  uint64
	ElementSegments, Elements, DataSegments           uint64

	Parameters  uint64 // of each function type; and results
	RecGroup    uint64 // types in each recursive group
	Fields      uint64 // of each struct type
	Subtyping   uint64 // depth
	Constant    uint64 // instructions of each constant expression
	ImportName  uint64 // bytes of each name of an import
	GrowthSites uint64 // memory.grow and table.grow in all functions together
}
