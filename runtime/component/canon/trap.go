package canon

import "fmt"

// Trap is what ends a guest that broke a rule. It unwinds as a panic from where the rule is checked
// to Recover.
type Trap struct {
	// Err says what the guest did.
	Err error
}

// Error says what the guest did.
func (t *Trap) Error() string { return t.Err.Error() }

// Unwrap returns Err.
func (t *Trap) Unwrap() error { return t.Err }

// Trapf unwinds with a trap. The message says what the guest did, and has no values of a user.
func Trapf(format string, args ...any) {
	panic(&Trap{fmt.Errorf(format, args...)})
}

// Recover ends the unwinding of a trap, which becomes *err. Any other panic goes on. It must be
// deferred directly:
//
//	defer canon.Recover(&err)
func Recover(err *error) {
	switch r := recover().(type) {
	case nil:
	case *Trap:
		*err = r
	default:
		panic(r)
	}
}
