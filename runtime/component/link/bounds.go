package link

import (
	"errors"
	"fmt"
)

// A component that instantiates the components in it several times, and so on, grows exponentially:
// what linking makes is bounded. Real programs have up to some ten component instances; a program
// that is composed of a hundred components is within the bounds.
const (
	maxInstances = 1000
	// Each store costs the engine memory, even if the component does not run.
	maxStores = 200
	// A Python program has 3,000 steps and 500 host functions.
	maxSteps     = 100_000
	maxFunctions = 50_000
	// What is evaluated counts, whatever comes of it: definitions, and items in lists of them. A
	// program of componentize-py has 6,500, of componentize-js 1,300. The bound takes 250 ms and
	// 50 MiB, in a process that has other guests.
	maxWork = 400_000
	// Names of the host's interfaces with versions up to 1.0 have one pattern of compatibility;
	// that many functions are all of WASI several times.
	maxImports = 10_000
)

var errTooLarge = errors.New("the component is too large")

func tooMany(what string, bound int) error {
	return fmt.Errorf("%w: it makes more than %d %s", errTooLarge, bound, what)
}
