package translate

import (
	"encoding/binary"

	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

const (
	maxName  = visible.MaxName // bytes of one name of a function
	maxNames = 4 << 20         // of all names together, in encoded form
)

// nameTable has names of functions, in the encoding of Info: first the entries, each with a
// function's number and the end of its name, then the names.
type nameTable struct {
	entries, text []byte
	last          int64  // the number after that of the last named function
	module        string // the module's own, as it can be shown
}

const nameEntry = 8

// add appends a name if there is room. It skips names that are not in the order of their functions.
func (t *nameTable) add(function uint32, name []byte) {
	if int64(function) < t.last || len(name) == 0 {
		return
	}
	shown := visible.Name(name)
	if len(t.entries)+nameEntry+len(t.text)+len(shown) > maxNames {
		return
	}
	t.last = int64(function) + 1
	t.text = append(t.text, shown...)
	t.entries = binary.LittleEndian.AppendUint32(t.entries, function)
	t.entries = binary.LittleEndian.AppendUint32(t.entries, uint32(len(t.text)))
}

// custom reads a custom section if it has names. Errors in it are ignored, because they affect
// neither the engine nor the host.
func (m *module) custom(r *reader) {
	defer func() {
		if err := recover(); err != nil {
			if _, ok := err.(stop); !ok {
				panic(err)
			}
		}
	}()
	if name := r.name(); string(name) != "name" {
		return
	}
	for r.more() {
		id := r.byte()
		sub := r.within(r.u32())
		if id == moduleName {
			m.names.module = visible.Name(sub.name())
		}
		if id != functionNames {
			continue
		}
		for range sub.count("names") {
			i := sub.u32()
			m.names.add(i, sub.take(sub.u32()))
		}
	}
}

// What parts of a custom section of names are about.
const (
	moduleName    = 0
	functionNames = 1
)

// nameSection is a custom section with the name of a module.
func nameSection(name string) []byte {
	own := append(appendU32(nil, uint32(len(name))), name...)
	b := append([]byte{4}, "name"...)
	return append(appendU32(append(b, moduleName), uint32(len(own))), own...)
}
