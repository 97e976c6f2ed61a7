package validate

import (
	"errors"
	"fmt"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

// ErrInvalid says that a component breaks a rule. What is valid and does not run here has
// binary.ErrUnsupported.
var ErrInvalid = errors.New("invalid")

// Error says why a component is refused.
type Error struct {
	At   int    // offset in the file of the definition
	Kind error  // ErrInvalid or binary.ErrUnsupported
	What string // the reason
}

func (e *Error) Error() string {
	return fmt.Sprintf("validating the component: at 0x%x: %s", e.At, e.What)
}

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

const (
	// maxSteps bounds what is done for a component: types that are made, replaced and compared,
	// each with its fields. The decoder takes up to 1,200,000 definitions and items, a program
	// in Python takes 20,000 steps here. 2,000,000 steps take a second.
	maxSteps = 2_000_000
	// maxDepth is how deep types are nested in each other, types of instances and components
	// too. What walks types recurses. In programs in Rust, Python and JavaScript it is 10.
	maxDepth = 100
	// maxNodes is the size of a type of values, where a part that is used twice counts twice.
	// What copies values walks types as trees. In the same programs the largest type has 61.
	maxNodes = 100_000
	// maxSize is the size of a value in memory, if pointers had 64 bits: the specification's
	// bound.
	maxSize = 1 << 28
)

// Validate reports why a component is not valid, or does not run here: an *Error, or an error of
// package binary about a core module. It returns nil for a valid component.
func Validate(c *binary.Component) error { return newValidator().validate(c) }

func newValidator() *validator {
	return &validator{types: newInterner(), core: newCoreTypes(), limit: maxSteps}
}

func (v *validator) validate(c *binary.Component) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case stop:
			err = p.err
		default:
			panic(p)
		}
	}()
	v.component(nil, c)
	return nil
}

// validator is what all scopes of a component share.
type validator struct {
	types *interner
	core  *coreTypes
	steps int
	limit int // of steps
	at    int // offset of the definition that is looked at
}

// stop carries an error from where a rule is broken to Validate.
type stop struct{ err error }

// fail ends validation: the component is invalid.
func (v *validator) fail(format string, args ...any) {
	panic(stop{&Error{At: v.at, Kind: ErrInvalid, What: fmt.Sprintf(format, args...)}})
}

// unsupported ends validation: the component does not run here.
func (v *validator) unsupported(format string, args ...any) {
	panic(stop{&Error{At: v.at, Kind: binary.ErrUnsupported, What: fmt.Sprintf(format, args...)}})
}

// spend counts steps.
func (v *validator) spend(n int) {
	if v.steps += n; v.steps > v.limit {
		v.unsupported("the component's types take more than %d steps to compare", v.limit)
	}
}

// deep refuses a type with that depth.
func (v *validator) deep(depth int) int {
	if depth > maxDepth {
		v.unsupported("types are nested more than %d deep", maxDepth)
	}
	return depth
}

// quoted is a name of the component as errors show it.
func quoted(name string) string { return `"` + visible.Name([]byte(name)) + `"` }
