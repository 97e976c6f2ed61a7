package world

import (
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

// maxLines is how many imports, and how many exports, are shown. WASI 0.2 and 0.3 have 60
// interfaces together.
const maxLines = 200

// Lines shows the world in lines like those of WIT, first the imports. They are fit to be shown.
func (w World) Lines() []string {
	return append(lines("import", w.Imports), lines("export", w.Exports)...)
}

func lines(word string, items []Item) []string {
	var all []string
	for _, i := range items[:min(len(items), maxLines)] {
		all = append(all, word+" "+i.wit()+";")
	}
	if left := len(items) - len(all); left > 0 {
		all = append(all, fmt.Sprintf("// %d more to %s", left, word))
	}
	return all
}

// wit is the item in WIT, without the word before it and without the types of functions. A name
// with a slash is an interface's own.
func (i Item) wit() string {
	name := visible.Name([]byte(i.FullName()))
	if i.Sort == binary.SortInstance && strings.Contains(i.Name, "/") {
		return name
	}
	return name + ": " + sortNames[i.Sort]
}

// sortNames are WIT's words; WIT has none for modules and components.
var sortNames = map[binary.Sort]string{
	binary.SortCoreModule: "core module",
	binary.SortFunc:       "func",
	binary.SortType:       "type",
	binary.SortComponent:  "component",
	binary.SortInstance:   "interface",
}
