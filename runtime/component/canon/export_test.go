package canon

// SetMoved sets how many bytes the call has moved.
func (f *Frame) SetMoved(n uint64) { f.work.moved = n }

// MaxMoved and MaxLifted are bounds of a call.
const MaxMoved, MaxLifted = maxMoved, maxLifted
