package door

// room has slots for connections of one state. Some of the connections are busy: they speak, or
// have a request under way.
type room struct {
	state       State
	most, each  int // in total, and of one address or user
	quiet, busy *crowd
}

func newRoom(state State, most, each int) *room {
	return &room{state: state, most: most, each: each, quiet: newCrowd(), busy: newCrowd()}
}

func (r *room) count() int { return r.quiet.n + r.busy.n }

func (r *room) enter(c *Conn, key string, busy bool) {
	c.room, c.key, c.busy = r, key, busy
	r.crowd(busy).add(c)
}

func (r *room) leave(c *Conn) {
	r.crowd(c.busy).remove(c)
	c.room = nil
}

// turn notes whether a connection is busy now. The connection is then the newest of those that are
// as busy.
func (r *room) turn(c *Conn, busy bool) {
	if c.busy != busy {
		r.leave(c)
		r.enter(c, c.key, busy)
	}
}

func (r *room) crowd(busy bool) *crowd {
	if busy {
		return r.busy
	}
	return r.quiet
}

// full is why there is no slot for another connection of an address or user. It is empty if there
// is a slot.
func (r *room) full(key string) Reason {
	switch {
	case r.quiet.count(key)+r.busy.count(key) >= r.each:
		return ReasonEach
	case r.count() >= r.most:
		return ReasonAll
	}
	return ""
}

// victim is the connection that must close for another one of an address, and why. It is nil if
// there is a slot.
func (r *room) victim(key string) (*Conn, Reason) {
	why := r.full(key)
	var quiet, busy *Conn
	switch why {
	case "":
		return nil, ""
	case ReasonEach:
		quiet, busy = r.quiet.first(key), r.busy.first(key)
	default:
		quiet, busy = r.quiet.largest(), r.busy.largest()
	}
	if quiet != nil {
		return quiet, why
	}
	return busy, why
}
