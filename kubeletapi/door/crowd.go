package door

import (
	"container/heap"
	"container/list"
)

// crowd holds connections, grouped by address or user, in the order in which they came. It knows
// which group is the largest.
type crowd struct {
	of     map[string]*group
	groups groups
	n      int
}

// group are the connections of one address or user.
type group struct {
	key   string
	conns list.List // of *Conn, the oldest first
	at    int       // its index in the heap
}

func newCrowd() *crowd { return &crowd{of: map[string]*group{}} }

func (c *crowd) add(conn *Conn) {
	g := c.of[conn.key]
	if g == nil {
		g = &group{key: conn.key}
		c.of[g.key] = g
	}
	conn.element = g.conns.PushBack(conn)
	c.n++
	if g.conns.Len() == 1 {
		heap.Push(&c.groups, g)
		return
	}
	heap.Fix(&c.groups, g.at)
}

func (c *crowd) remove(conn *Conn) {
	g := c.of[conn.key]
	g.conns.Remove(conn.element)
	conn.element = nil
	c.n--
	if g.conns.Len() == 0 {
		heap.Remove(&c.groups, g.at)
		delete(c.of, g.key)
		return
	}
	heap.Fix(&c.groups, g.at)
}

// count is the number of connections of a group.
func (c *crowd) count(key string) int {
	if g := c.of[key]; g != nil {
		return g.conns.Len()
	}
	return 0
}

// first is the oldest connection of a group, or nil.
func (c *crowd) first(key string) *Conn {
	if g := c.of[key]; g != nil {
		return g.first()
	}
	return nil
}

// largest is the oldest connection of the largest group, or nil.
func (c *crowd) largest() *Conn {
	if len(c.groups) == 0 {
		return nil
	}
	return c.groups[0].first()
}

func (g *group) first() *Conn { return g.conns.Front().Value.(*Conn) } //nolint:forcetypeassert // the list has nothing else

// groups is a heap. The group with the most connections is on top. If several groups have as many,
// the one with the oldest connection is on top.
type groups []*group

func (g groups) Len() int { return len(g) }

func (g groups) Less(i, j int) bool {
	if a, b := g[i].conns.Len(), g[j].conns.Len(); a != b {
		return a > b
	}
	return g[i].first().since.Before(g[j].first().since)
}

func (g groups) Swap(i, j int) {
	g[i], g[j] = g[j], g[i]
	g[i].at, g[j].at = i, j
}

func (g *groups) Push(x any) {
	added := x.(*group) //nolint:forcetypeassert // add pushes nothing else
	added.at = len(*g)
	*g = append(*g, added)
}

func (g *groups) Pop() any {
	last := (*g)[len(*g)-1]
	*g = (*g)[:len(*g)-1]
	return last
}
