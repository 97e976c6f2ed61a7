package translate

// Limits bound a module. A field of 0 means its default. The defaults are far above the numbers in
// real programs. Those for a function are far below the maximum of the compiler's numbers.
type Limits struct {
	Values      uint64 // that the compiler makes for one function, and for the module's start
	Arguments   uint64 // that the branches of one function pass
	BodyBytes   uint64 // of one function
	Locals      uint64 // of one function, with parameters
	Nesting     uint64 // of blocks in one function
	Targets     uint64 // of one br_table
	Functions   uint64 // from here on, all counts include imports
	Types       uint64
	Globals     uint64
	Tables      uint64
	Memories    uint64
	Tags        uint64
	Imports     uint64
	Exports     uint64
	Elements    uint64 // in all element segments together
	ElementSegs uint64
	DataSegs    uint64
	Parameters  uint64 // of one function type; the same bound is for results
	RecGroup    uint64 // types in one recursive group
	Fields      uint64 // of one struct type
	Subtyping   uint64 // supertypes of supertypes
	Constant    uint64 // instructions of one constant expression
	ImportName  uint64 // bytes of one name in an import
	Growths     uint64 // memory.grow and table.grow in all functions
	Catches     uint64 // of a try_table and of those around it: an exception checks them in each frame that it leaves
	Bulks       uint64 // memory.fill, memory.copy and memory.init in all functions, except those with a known short length
}

// DefaultLimits are the bounds for zero fields.
var DefaultLimits = Limits{
	Values:      1 << 22,
	Arguments:   1 << 24,
	BodyBytes:   6 << 20,
	Locals:      50_000,
	Nesting:     50_000,
	Targets:     1 << 16,
	Functions:   500_000,
	Types:       100_000,
	Globals:     100_000,
	Tables:      16,
	Memories:    16,
	Tags:        1_000,
	Imports:     10_000,
	Exports:     1 << 20,
	Elements:    1 << 20,
	ElementSegs: 20_000,
	DataSegs:    100_000,
	Parameters:  1_000,
	RecGroup:    50_000,
	Fields:      2_000,
	Subtyping:   63,
	Constant:    10_000,
	ImportName:  1 << 10,
	Growths:     1 << 16,
	Catches:     1000,
	Bulks:       1 << 20,
}

// filled returns the limits with defaults for zero fields.
func (l Limits) filled() Limits {
	d := DefaultLimits
	for _, f := range []struct {
		own *uint64
		def uint64
	}{
		{&l.Values, d.Values}, {&l.Arguments, d.Arguments}, {&l.BodyBytes, d.BodyBytes}, {&l.Locals, d.Locals},
		{&l.Nesting, d.Nesting}, {&l.Targets, d.Targets}, {&l.Functions, d.Functions}, {&l.Types, d.Types},
		{&l.Globals, d.Globals}, {&l.Tables, d.Tables}, {&l.Memories, d.Memories}, {&l.Tags, d.Tags},
		{&l.Imports, d.Imports}, {&l.Exports, d.Exports}, {&l.Elements, d.Elements}, {&l.ElementSegs, d.ElementSegs},
		{&l.DataSegs, d.DataSegs}, {&l.Parameters, d.Parameters}, {&l.RecGroup, d.RecGroup}, {&l.Fields, d.Fields},
		{&l.Subtyping, d.Subtyping}, {&l.Constant, d.Constant}, {&l.ImportName, d.ImportName}, {&l.Growths, d.Growths},
		{&l.Catches, d.Catches}, {&l.Bulks, d.Bulks},
	} {
		if *f.own == 0 {
			*f.own = f.def
		}
	}
	return l
}
