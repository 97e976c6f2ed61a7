package translate

import "fmt"

// Position is a position in a module.
type Position struct {
	// Function is its number, with imported ones counted first, or -1 outside of functions.
	Function int
	// Offset counts bytes of the original module.
	Offset int
}

// String returns "function 12 at 0x3f", or "at 0x3f".
func (p Position) String() string {
	if p.Function < 0 {
		return fmt.Sprintf("at 0x%x", p.Offset)
	}
	return fmt.Sprintf("function %d at 0x%x", p.Function, p.Offset)
}

// FeatureError means that a module uses a proposal that is off.
type FeatureError struct {
	Position
	Feature Feature
}

func (e *FeatureError) Error() string {
	return fmt.Sprintf("%v: %v is off with this engine", e.Position, e.Feature)
}

// LimitError means that a module has more of something than it may have.
type LimitError struct {
	Position
	What         string // in the plural: "locals"
	Count, Bound uint64 // Count is the number, or the number at which counting stopped
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %d %s, at most %d may be", e.Position, e.Count, e.What, e.Bound)
}

// FormatError means that the bytes are not a module, or one with something that this package does
// not know.
type FormatError struct {
	Position
	What string
}

func (e *FormatError) Error() string { return fmt.Sprintf("%v: %s", e.Position, e.What) }
