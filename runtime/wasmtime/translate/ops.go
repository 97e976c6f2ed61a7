package translate

// shape is the kind of operands after an instruction's opcode.
type shape uint8

const (
	unknown shape = iota
	plain
	control // block, loop, if, else, end, try_table and branches: scan.control
	localAccess
	globalAccess
	tableAccess
	memoryAccess // an alignment, perhaps a memory, an offset
	laneAccess   // the same, and a lane
	lane
	memoryIndex
	memoryFill
	callOp // calls, with their types: scan.call
	int32Const
	int64Const
	bytes4
	bytes8
	bytes16
	selectTyped
	refNull
	refFunc
	prefixed
	dataSegment
	dataToMemory // memory.init
	memoryToMemory
	elementSegment
	elementToTable // table.init
	tableToTable
	tableGrow
	memoryGrow
	typeOp       // a type
	fieldOp      // a struct type and a field
	arrayFixed   // an array type and the number of elements
	arrayToArray // two array types
	arrayData    // an array type and a data segment
	arrayElement // an array type and an element segment
	castOp       // a heap type
	castBranch   // flags, a label, two heap types
	throwOp
)

// op is the cost of an instruction for the compiler, as far as it does not depend on the operands:
// the values and the joins of branches in the code that the compiler makes. Both are upper bounds
// for wasmtime 39 and 48, taken from their translation to Cranelift's intermediate code.
type op struct {
	shape   shape
	feature Feature // firstVersion if no proposal is needed
	values  uint16
	joins   uint8
}

// firstVersion stands for WebAssembly's first version, without any proposal.
const firstVersion = numFeatures

// Opcodes that this package uses by name.
const (
	opUnreachable = 0x00
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opThrow       = 0x08
	opThrowRef    = 0x0a
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opCallIndir   = 0x11
	opReturnCall  = 0x12
	opReturnIndir = 0x13
	opCallRef     = 0x14
	opReturnRef   = 0x15
	opTryTable    = 0x1f
	opLocalGet    = 0x20
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opGlobalGet   = 0x23
	opTableSet    = 0x26
	opRefNull     = 0xd0
	opRefFunc     = 0xd2
	opBrOnNull    = 0xd5
	opBrOnNonNull = 0xd6
	prefixGC      = 0xfb
	prefixMisc    = 0xfc
	prefixSIMD    = 0xfd
	prefixAtomic  = 0xfe
)

// ops are the instructions of one byte, and the prefixes of others.
var ops = func() (t [256]op) {
	set := func(from, to int, o op) {
		for i := from; i <= to; i++ {
			t[i] = o
		}
	}
	set(0x00, 0x01, op{shape: plain, feature: firstVersion, values: 1})
	set(opBlock, opElse, op{shape: control, feature: firstVersion, values: 2})
	set(0x06, 0x07, op{shape: plain, feature: LegacyExceptions})
	t[opThrow] = op{throwOp, ExceptionHandling, 60, 4}
	t[0x09] = op{shape: plain, feature: LegacyExceptions}
	t[opThrowRef] = op{throwOp, ExceptionHandling, 8, 0}
	set(opEnd, opReturn, op{shape: control, feature: firstVersion, values: 2})
	t[opBrIf].values = 4
	t[opCall] = op{callOp, firstVersion, 6, 0}
	t[opCallIndir] = op{callOp, firstVersion, 40, 3}
	t[opReturnCall] = op{callOp, TailCalls, 6, 0}
	t[opReturnIndir] = op{callOp, TailCalls, 40, 3}
	t[opCallRef] = op{callOp, TypedFunctionReferences, 8, 0}
	t[opReturnRef] = op{callOp, TypedFunctionReferences, 8, 0}
	set(0x18, 0x19, op{shape: plain, feature: LegacyExceptions})
	t[0x1a] = op{shape: plain, feature: firstVersion} // drop
	t[0x1b] = op{shape: plain, feature: firstVersion, values: 3}
	t[0x1c] = op{selectTyped, ReferenceTypes, 3, 0}
	t[opTryTable] = op{shape: control, feature: ExceptionHandling, values: 2}
	set(opLocalGet, 0x22, op{shape: localAccess, feature: firstVersion})
	t[opGlobalGet] = op{globalAccess, firstVersion, 4, 0}
	t[0x24] = op{globalAccess, firstVersion, 4, 0}
	t[0x25] = op{tableAccess, ReferenceTypes, 40, 3}
	t[opTableSet] = op{tableAccess, ReferenceTypes, 20, 0}
	set(0x28, 0x3e, op{shape: memoryAccess, feature: firstVersion, values: 8})
	t[0x3f] = op{memoryIndex, firstVersion, 6, 0}
	t[opMemoryGrow] = op{memoryGrow, firstVersion, 6, 0} // for the call that replaces it
	t[opI32Const] = op{int32Const, firstVersion, 1, 0}
	t[0x42] = op{int64Const, firstVersion, 1, 0}
	t[0x43] = op{bytes4, firstVersion, 1, 0}
	t[0x44] = op{bytes8, firstVersion, 1, 0}
	set(0x45, 0x66, op{shape: plain, feature: firstVersion, values: 2}) // comparisons
	set(0x67, 0xbf, op{shape: plain, feature: firstVersion, values: 2})
	for _, at := range []int{0x6d, 0x7f} { // div_s, div_u, rem_s, rem_u
		set(at, at+3, op{shape: plain, feature: firstVersion, values: 6})
	}
	set(0xa8, 0xb1, op{shape: plain, feature: firstVersion, values: 6}) // float to int
	set(0xc0, 0xc4, op{shape: plain, feature: SignExtension, values: 2})
	t[opRefNull] = op{refNull, ReferenceTypes, 2, 0}
	t[0xd1] = op{shape: plain, feature: ReferenceTypes, values: 2}
	t[opRefFunc] = op{refFunc, ReferenceTypes, 3, 0}
	t[0xd3] = op{shape: plain, feature: GC, values: 2}
	t[0xd4] = op{shape: plain, feature: TypedFunctionReferences, values: 3}
	set(opBrOnNull, opBrOnNonNull, op{shape: control, feature: TypedFunctionReferences, values: 5})
	set(0xe0, 0xe6, op{shape: plain, feature: StackSwitching})
	set(prefixGC, prefixAtomic, op{shape: prefixed, feature: firstVersion})
	return t
}()

// miscOps follow prefixMisc.
var miscOps = func() (t [0x17]op) {
	for i := range 8 {
		t[i] = op{plain, SaturatingFloatToInt, 3, 0}
	}
	t[8] = op{dataToMemory, BulkMemory, 60, 2}
	t[9] = op{dataSegment, BulkMemory, 4, 0}
	t[10] = op{memoryToMemory, BulkMemory, 80, 2}
	t[11] = op{memoryFill, BulkMemory, 40, 2}
	t[12] = op{elementToTable, BulkMemory, 250, 16}
	t[13] = op{elementSegment, BulkMemory, 4, 0}
	t[14] = op{tableToTable, BulkMemory, 250, 16}
	t[15] = op{tableGrow, ReferenceTypes, 8, 0} // for the call that replaces it
	t[16] = op{tableAccess, ReferenceTypes, 6, 0}
	t[17] = op{tableAccess, ReferenceTypes, 120, 8}
	for i := 0x13; i <= 0x16; i++ {
		t[i] = op{plain, WideArithmetic, 0, 0}
	}
	return t
}()

// gcOps follow prefixGC.
var gcOps = [0x1f]op{
	0x00: {typeOp, GC, 60, 3}, // struct.new
	0x01: {typeOp, GC, 60, 3},
	0x02: {fieldOp, GC, 20, 0}, // struct.get
	0x03: {fieldOp, GC, 20, 0},
	0x04: {fieldOp, GC, 20, 0},
	0x05: {fieldOp, GC, 20, 0}, // struct.set
	0x06: {typeOp, GC, 160, 8}, // array.new
	0x07: {typeOp, GC, 160, 8}, // array.new_default
	0x08: {arrayFixed, GC, 60, 3},
	0x09: {arrayData, GC, 250, 12},
	0x0a: {arrayElement, GC, 250, 16},
	0x0b: {typeOp, GC, 40, 0}, // array.get
	0x0c: {typeOp, GC, 40, 0},
	0x0d: {typeOp, GC, 40, 0},
	0x0e: {typeOp, GC, 40, 0}, // array.set
	0x0f: {plain, GC, 16, 0},  // array.len
	0x10: {typeOp, GC, 160, 10},
	0x11: {arrayToArray, GC, 300, 20},
	0x12: {arrayData, GC, 250, 12},
	0x13: {arrayElement, GC, 250, 16},
	0x14: {castOp, GC, 60, 5},
	0x15: {castOp, GC, 60, 5},
	0x16: {castOp, GC, 64, 5},
	0x17: {castOp, GC, 64, 5},
	0x18: {castBranch, GC, 66, 5},
	0x19: {castBranch, GC, 66, 5},
	0x1a: {plain, GC, 1, 0},
	0x1b: {plain, GC, 1, 0},
	0x1c: {plain, GC, 4, 0},
	0x1d: {plain, GC, 4, 0},
	0x1e: {plain, GC, 4, 0},
}

// atomicOps follow prefixAtomic.
var atomicOps = func() (t [0x4f]op) {
	for _, i := range [][2]int{{0x00, 0x02}, {0x10, 0x4e}} {
		for code := i[0]; code <= i[1]; code++ {
			t[code] = op{memoryAccess, Threads, 24, 0}
		}
	}
	t[0x03] = op{lane, Threads, 1, 0} // a fence, and a byte that is 0
	return t
}()

// The additional cost of each access of a managed reference in the heap, a global or a table: the
// garbage collector's barriers.
const (
	barrierValues = 40
	barrierJoins  = 6
)

// simdOps follow prefixSIMD. simdGaps has the numbers without an instruction.
var simdOps = func() (t [0x114]op) {
	for i := range t {
		t[i] = op{plain, SIMD, 10, 0}
		if i >= 0x100 {
			t[i].feature = RelaxedSIMD
		}
	}
	for i := range 0x0c {
		t[i] = op{memoryAccess, SIMD, 12, 0}
	}
	t[0x0c] = op{bytes16, SIMD, 2, 0}
	t[0x0d] = op{bytes16, SIMD, 6, 0} // shuffle
	for i := 0x15; i <= 0x22; i++ {
		t[i] = op{lane, SIMD, 4, 0}
	}
	for i := 0x54; i <= 0x5b; i++ {
		t[i] = op{laneAccess, SIMD, 14, 0}
	}
	t[0x5c] = op{memoryAccess, SIMD, 12, 0}
	t[0x5d] = op{memoryAccess, SIMD, 12, 0}
	for _, i := range simdGaps {
		t[i] = op{}
	}
	return t
}()

var simdGaps = []int{0x9a, 0xa2, 0xa5, 0xa6, 0xaf, 0xb0, 0xb2, 0xb3, 0xb4, 0xbb, 0xc2, 0xc5, 0xc6, 0xcf, 0xd0, 0xd2, 0xd3, 0xd4,
	0xe2, 0xee}
