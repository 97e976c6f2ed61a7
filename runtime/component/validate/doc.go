// Package validate decides whether a component is valid: its index spaces, names, types, resources,
// what is given where a component or module is instantiated, and the core type of each function
// that is lifted, lowered or built in. The code of core modules is not looked at: the engine's
// compiler does that.
//
// Behind this package functions are called without a look at their types. So a component that
// passes has exactly the core types that the canonical ABI says, and each alias is of the sort that
// it names.
//
// Types are interned: two types of values are the same if they are one in memory, so comparing them
// costs nothing however large they are. What names a type is kept apart from it, as the names
// decide whether an export may use it.
//
// The package keeps no state. Validate may be called from any goroutine; it takes time in
// proportion to the component, and an upper bound of steps ends it where types or instances grow
// exponentially.
package validate
