package link

import (
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
)

var errTags = errors.New("a core module imports an exception tag, which this host does not support between modules")

// moduleImports returns the imports of a core module in their order.
func moduleImports(d *binary.CoreModule) ([]binary.CoreImport, error) {
	core, err := d.Core()
	if err != nil {
		return nil, err
	}
	for _, i := range core.Imports {
		if i.Type.Sort == binary.SortCoreTag {
			return nil, errTags
		}
	}
	return core.Imports, nil
}
