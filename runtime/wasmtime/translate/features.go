package translate

// Feature is a proposal for WebAssembly that is later than its first version.
type Feature uint8

// The proposals. Those before LegacyExceptions may be on.
const (
	MutableGlobals Feature = iota
	SignExtension
	SaturatingFloatToInt
	MultiValue
	BulkMemory
	ReferenceTypes
	SIMD
	TailCalls
	ExtendedConstants
	ExceptionHandling // the final form: try_table, throw, throw_ref, exnref
	TypedFunctionReferences
	GC
	MultiMemory
	Threads // atomic instructions; SharedMemory is for shared memories

	LegacyExceptions // try, catch, rethrow, delegate
	Memory64
	SharedMemory
	RelaxedSIMD
	StackSwitching
	CustomPageSizes
	WideArithmetic

	numFeatures
)

// neverOn is the first of the proposals that are off with every engine.
const neverOn = LegacyExceptions

// featureNames are the usual names of the proposals.
var featureNames = [numFeatures]string{
	MutableGlobals:          "mutable globals",
	SignExtension:           "sign extension",
	SaturatingFloatToInt:    "saturating float-to-int",
	MultiValue:              "multi-value",
	BulkMemory:              "bulk memory",
	ReferenceTypes:          "reference types",
	SIMD:                    "SIMD",
	TailCalls:               "tail calls",
	ExtendedConstants:       "extended constants",
	ExceptionHandling:       "exception handling",
	TypedFunctionReferences: "typed function references",
	GC:                      "garbage collection",
	MultiMemory:             "multi-memory",
	LegacyExceptions:        "legacy exception handling",
	Memory64:                "memory64",
	Threads:                 "atomic instructions",
	SharedMemory:            "shared memory",
	RelaxedSIMD:             "relaxed SIMD",
	StackSwitching:          "stack switching",
	CustomPageSizes:         "custom page sizes",
	WideArithmetic:          "wide arithmetic",
}

// String returns the proposal's name.
func (f Feature) String() string {
	if f < numFeatures {
		return featureNames[f]
	}
	return "unknown"
}

// Never reports whether the proposal is off with every engine.
func (f Feature) Never() bool { return f >= neverOn }

// All returns every proposal that this package knows.
func All() []Feature {
	all := make([]Feature, numFeatures)
	for i := range all {
		all[i] = Feature(i)
	}
	return all
}

// Features is a set of proposals that the linked engine supports. The zero value is empty.
type Features uint32

// Of returns a set of proposals. It panics for a proposal that is never on.
func Of(on ...Feature) Features {
	var all Features
	for _, f := range on {
		if f.Never() {
			panic("translate: " + f.String() + " is never on")
		}
		all |= 1 << f
	}
	return all
}

// Finished are all proposals that may be on.
const Finished Features = 1<<neverOn - 1

// Has reports whether the proposal is on.
func (s Features) Has(f Feature) bool { return s>>f&1 != 0 }

// Without returns the set without these proposals.
func (s Features) Without(off ...Feature) Features {
	for _, f := range off {
		s &^= 1 << f
	}
	return s
}
