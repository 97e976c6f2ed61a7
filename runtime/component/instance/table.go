package instance

import "github.com/krustlet-go/krustlet-wasi/runtime/component/canon"

// table gives its elements numbers from 1 on, the last that became free first.
type table[T comparable] struct {
	elements []T
	free     []uint32
}

// get returns an element. It traps if there is none with that number.
func (t *table[T]) get(i uint32, what string) T {
	var none T
	if uint64(i) >= uint64(len(t.elements)) || t.elements[i] == none {
		canon.Trapf("there is no %s with the number that the guest gave", what)
	}
	return t.elements[i]
}

func (t *table[T]) add(e T) uint32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		t.elements[i] = e
		return i
	}
	if len(t.elements) == 0 {
		t.elements, t.free = make([]T, 1, 8), make([]uint32, 0, 8)
	}
	t.elements = append(t.elements, e)
	return uint32(len(t.elements) - 1)
}

func (t *table[T]) remove(i uint32, what string) T {
	e := t.get(i, what)
	var none T
	t.elements[i] = none
	t.free = append(t.free, i)
	return e
}

// addHandle adds to the handle table.
func (c *component) addHandle(e any) uint32 {
	if c.x.handles == maxHandles {
		canon.Trapf("the guest has more than %d handles", maxHandles)
	}
	c.x.handles++
	return c.handles.add(e)
}

func (c *component) removeHandle(i uint32, what string) any {
	e := c.handles.remove(i, what)
	c.x.handles--
	return e
}

func wrongHandle(what string) {
	canon.Trapf("the handle that the guest gave is no %s", what)
}

// handleOf returns a handle of one kind.
func handleOf[T any](c *component, i uint32, what string) T {
	e, ok := c.handles.get(i, what).(T)
	if !ok {
		wrongHandle(what)
	}
	return e
}

// takeHandle removes a handle of one kind.
func takeHandle[T any](c *component, i uint32, what string) T {
	e, ok := c.removeHandle(i, what).(T)
	if !ok {
		wrongHandle(what)
	}
	return e
}
