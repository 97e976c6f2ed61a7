package confine

import (
	"fmt"
	"slices"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// useful are the capabilities that a worker keeps if it has them; doc.go gives the reasons.
var useful = []cap.Value{cap.NET_BIND_SERVICE, cap.DAC_OVERRIDE, cap.FOWNER}

// dropCapabilities keeps only these capabilities in the permitted, effective and bounding sets. It
// empties the inheritable and ambient sets.
func dropCapabilities(kept []cap.Value) error {
	have := cap.GetProc()
	if err := emptyBounds(have, kept); err != nil {
		return err
	}
	left := cap.NewSet()
	for _, c := range kept {
		had, err := have.GetFlag(cap.Permitted, c)
		if err != nil {
			return fmt.Errorf("asking for %v: %w", c, err)
		}
		if err := left.SetFlag(cap.Permitted, had, c); err != nil {
			return fmt.Errorf("keeping %v: %w", c, err)
		}
		if err := left.SetFlag(cap.Effective, had, c); err != nil {
			return fmt.Errorf("keeping %v: %w", c, err)
		}
	}
	// The kernel removes from the ambient set all that is no longer permitted or inheritable.
	if err := left.SetProc(); err != nil {
		return fmt.Errorf("dropping all but %v: %w", kept, err)
	}
	return nil
}

// emptyBounds drops capabilities from the bounding set, if the process may do so. If not, this does
// no harm: the set has an effect only when a program is executed, and the process cannot execute
// any.
func emptyBounds(have *cap.Set, kept []cap.Value) error {
	may, err := have.GetFlag(cap.Effective, cap.SETPCAP)
	if err != nil || !may {
		return err
	}
	var drop []cap.Value
	for c := cap.Value(0); c < cap.MaxBits(); c++ {
		if bound, err := cap.GetBound(c); err == nil && bound && !slices.Contains(kept, c) {
			drop = append(drop, c)
		}
	}
	if err := cap.DropBound(drop...); err != nil {
		return fmt.Errorf("dropping from the bounding set: %w", err)
	}
	return nil
}
