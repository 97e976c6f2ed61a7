package translate

import "fmt"

// Place is where something in a module is.
type Place struct {
	// Function is its number, imported ones counted first, or -1 outside of functions.
	Function int
	// Offset counts bytes of the original module.
	Offset int
}

// String is "function 12 at 0x3f", or "at 0x3f".
func (p Place) String() string {
	if p.Function < 0 {
		return fmt.Sprintf("at 0x%x", p.Offset)
	}
	return fmt.Sprintf("function %d at 0x%x", p.Function, p.Offset)
}

// FeatureError says that a module uses a proposal that is off.
type FeatureError struct {
	Place
	Feature Feature
}

func (e *FeatureError) Error() string {
	return fmt.Sprintf("%v: %v is off with this engine", e.Place, e.Feature)
}

// LimitError says that there is more of something in a module than may be.
type LimitError struct {
	Place
	What         string // in the plural: "locals"
	Count, Bound uint64 // Count is what there is, or where the count ended
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: %d %s, at most %d may be", e.Place, e.Count, e.What, e.Bound)
}

// FormatError says that bytes are no module, or one with something that is not known here.
type FormatError struct {
	Place
	What string
}

func (e *FormatError) Error() string { return fmt.Sprintf("%v: %s", e.Place, e.What) }
