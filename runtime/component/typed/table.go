package typed

import (
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Table has the functions of a line of WIT versions that are compatible. It is constant data:
// making one costs nothing when the program starts.
type Table struct {
	// Types are the types of the functions, which refer to them by index.
	Types []Desc
	// Functions are in the order of their interfaces' names, and then of their own.
	Functions []Function
}

// Missing is the index of a type that is not there.
const Missing = -1

// Desc describes a type. Its elements are those that types.Type says.
type Desc struct {
	Kind   types.Kind
	Labels []string
	Elems  []int32
	Length uint32
	// Resource is the resource of a handle: wasi:io/poll@0.2#pollable, with the part of the version
	// that says what is compatible.
	Resource string
}

// Function is a function of an interface.
type Function struct {
	Interface string // wasi:filesystem/types
	Version   string // the newest one, 0.2.12
	// Also are other versions that are not compatible with that one, and have the same function all
	// the same. The empty one is for an interface without a version.
	Also   []string
	Name   string // [method]descriptor.read
	Async  bool
	Labels []string // of the parameters
	Params []int32
	Result int32 // or Missing
	// Stub is the host function. It may be called only for a type that Check accepted: it knows its
	// types, and does not look. It is nil of a function that the host calls, and does not give.
	Stub canon.Stub
}

// Find returns a function by the name of its interface as a component has it, with any version, or
// nil. A version that is newer than what the table has is found too: whether the function is still
// the same, Check says.
func (t *Table) Find(iface, name string) *Function {
	base, _, _ := strings.Cut(iface, "@")
	i, ok := slices.BinarySearchFunc(t.Functions, Function{Interface: base, Name: name}, func(a, b Function) int {
		if c := strings.Compare(a.Interface, b.Interface); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	if !ok || !t.Functions[i].serves(link.Compatible(iface)) {
		return nil
	}
	return &t.Functions[i]
}

// serves reports whether the function is that of an interface with a name that Compatible returned.
func (f *Function) serves(iface string) bool {
	return link.Compatible(f.qualified(f.Version)) == iface || slices.ContainsFunc(f.Also, func(version string) bool {
		return link.Compatible(f.qualified(version)) == iface
	})
}

// qualified is the name of the function's interface with a version.
func (f *Function) qualified(version string) string {
	if version == "" {
		return f.Interface
	}
	return f.Interface + "@" + version
}
