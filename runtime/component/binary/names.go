package binary

import "github.com/krustlet-go/krustlet-wasi/runtime/visible"

// maxNames is how many items of a component may have names for people. Tools name all of them.
const maxNames = 100_000

// NameTable has the names that tools gave a component and its items, for people. They are fit to be
// shown, and mean nothing.
type NameTable struct {
	Component string // or ""
	items     map[Ref]string
}

// Of returns the name of an item, "" if it has none.
func (t *NameTable) Of(item Ref) string { return t.items[item] }

// Names reads the names in a component. It takes what can be read: names that are damaged or too
// many are left out. Where an item has several names, it is the first.
func Names(c *Component) *NameTable {
	t := &NameTable{items: map[Ref]string{}}
	for _, custom := range c.Customs {
		if custom.Name == "component-name" {
			lenient(custom.Data, t.read)
		}
	}
	return t
}

// lenient reads as far as that is possible.
func lenient(data []byte, read func(*reader)) {
	var ignored error
	defer caught(&ignored)
	read(newReader(data, 0, "custom section", &counts{}))
}

// Parts of the section component-name.
const (
	namesComponent = 0
	namesOfSort    = 1
)

func (t *NameTable) read(r *reader) {
	for r.more() {
		id := r.byte()
		part := r.take(r.u32())
		switch id {
		case namesComponent:
			lenient(part, func(r *reader) {
				if name := r.shown(); t.Component == "" {
					t.Component = name
				}
			})
		case namesOfSort:
			lenient(part, t.readSort)
		}
	}
}

func (t *NameTable) readSort(r *reader) {
	sort := r.sort()
	for range r.count("names") {
		item := Ref{Sort: sort, Index: r.u32()}
		name := r.shown()
		if _, twice := t.items[item]; twice || name == "" {
			continue
		}
		if len(t.items) == maxNames {
			return
		}
		t.items[item] = name
	}
}

// shown reads a name as it can be shown.
func (r *reader) shown() string { return visible.Name(r.take(r.u32())) }
