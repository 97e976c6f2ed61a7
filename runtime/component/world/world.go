package world

import (
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/binary"
	"github.com/krustlet-go/krustlet-wasi/runtime/visible"
)

// World is what a component imports and exports, in the order of its definitions, and what of it
// the node can call.
type World struct {
	Imports []Item
	Exports []Item
	Run     Entry // of a command
	Handle  Entry // of an HTTP handler
}

// Item is an import or export.
type Item struct {
	// Name is the name by which it is found. It can have any characters.
	Name string
	// VersionSuffix is the rest of its version, if Name has only a part of it.
	VersionSuffix string
	// Sort is SortCoreModule, SortFunc, SortType, SortComponent or SortInstance.
	Sort binary.Sort
}

// Entry is an exported instance with a function that the node can call. The zero value means that
// there is none.
type Entry struct {
	Name string // of the export
	WASI int    // 2 for WASI 0.2.x, 3 for WASI 0.3.x
}

// Kind is what a component is for.
type Kind uint8

// Kinds of components.
const (
	Other             Kind = iota // a library, or a program for another host
	Command                       // it has a function that runs once
	Handler                       // it answers HTTP requests
	CommandAndHandler             // it can be used in both ways
)

func (k Kind) String() string {
	return [...]string{"other", "command", "handler", "command and handler"}[k]
}

// Interfaces that the node can call, by the minor version of WASI.
var (
	runs    = map[int]string{2: "wasi:cli/run", 3: "wasi:cli/run"}
	handles = map[int]string{2: "wasi:http/incoming-handler", 3: "wasi:http/handler"}
)

// Of returns the world of a component. If it exports an interface in several versions that the node
// can call, the entry has the newest one.
func Of(c *binary.Component) World {
	var w World
	var run, handle newest
	for _, d := range c.Definitions {
		switch d := d.(type) {
		case *binary.Import:
			w.Imports = append(w.Imports, itemOf(d.Name, d.Type.Sort))
		case *binary.Export:
			item := itemOf(d.Name, d.Sort)
			w.Exports = append(w.Exports, item)
			run.offer(item, runs)
			handle.offer(item, handles)
		}
	}
	w.Run, w.Handle = run.entry, handle.entry
	return w
}

func itemOf(name binary.ExternName, sort binary.Sort) Item {
	return Item{Name: name.Name, VersionSuffix: name.VersionSuffix, Sort: sort}
}

// FullName is the item's name with its whole version.
func (i Item) FullName() string { return i.Name + i.VersionSuffix }

// Kind says what the component is for.
func (w World) Kind() Kind {
	switch {
	case w.Run.Name != "" && w.Handle.Name != "":
		return CommandAndHandler
	case w.Run.Name != "":
		return Command
	case w.Handle.Name != "":
		return Handler
	}
	return Other
}

// maxNamed is how many exports an error names.
const maxNamed = 8

// Check refuses a component that is neither a command nor an HTTP handler. Its error names what the
// component exports.
func (w World) Check() error {
	if w.Kind() != Other {
		return nil
	}
	var names []string
	for _, e := range w.Exports[:min(len(w.Exports), maxNamed)] {
		names = append(names, visible.Name([]byte(e.FullName())))
	}
	exports := strings.Join(names, ", ")
	switch left := len(w.Exports) - len(names); {
	case len(names) == 0:
		exports = "nothing"
	case left > 0:
		exports += fmt.Sprintf(" and %d more", left)
	}
	return fmt.Errorf("the component exports %s and is neither a command (%s@0.2 or @0.3) nor an HTTP handler (%s@0.2 or %s@0.3)",
		exports, runs[2], handles[2], handles[3])
}
