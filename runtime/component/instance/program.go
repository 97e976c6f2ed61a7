package instance

import (
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/link"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/types"
)

// Host gives the functions that components import.
type Host interface {
	// Function returns the function with a name of an interface, or an error that says why there is
	// none. The name of the interface has a version as the component has it; link.Compatible tells
	// which ones are compatible. The type is the component's; the function is called with values of
	// it, so the host must compare it with its own.
	Function(interfaceName, name string, t *types.Func) (canon.Stub, error)
}

// Looker is what a host may be besides: Look is called about every millisecond while much is copied
// for a guest. It may wait as long as the guest's limit of processor time asks for, and returns an
// error if the guest has to end.
type Looker interface{ Look() error }

// Program is a linked component with the functions of the host that it imports. It does not
// change; many instances use it at the same time.
type Program struct {
	Linked *link.Component
	stubs  []canon.Stub
}

// maxMissing is how many functions that the host lacks an error names.
const maxMissing = 50

// Bind finds the functions of the host that a component imports. The error names those that are
// missing.
func Bind(linked *link.Component, host Host) (*Program, error) {
	p := &Program{Linked: linked, stubs: make([]canon.Stub, len(linked.Imports))}
	var missing []string
	for i, f := range linked.Imports {
		stub, err := host.Function(f.Interface, f.Name, f.Type)
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s: %v", f.QualifiedName(), err))
			continue
		}
		p.stubs[i] = stub
	}
	if n := len(missing); n > maxMissing {
		missing = append(missing[:maxMissing], fmt.Sprintf("and %d more", n-maxMissing))
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the component imports functions that the host does not give: %s", strings.Join(missing, "; "))
	}
	return p, nil
}
