package instance

// fifo is a queue that keeps its memory for the next elements.
type fifo[T any] struct {
	list []T
	from int // of the elements in list
}

func (f *fifo[T]) len() int { return len(f.list) - f.from }

func (f *fifo[T]) push(v T) {
	if len(f.list) == cap(f.list) && f.from > len(f.list)/2 {
		n := copy(f.list, f.list[f.from:])
		clear(f.list[n:])
		f.list, f.from = f.list[:n], 0
	}
	f.list = append(f.list, v)
}

// pop takes the first element, if there is one.
func (f *fifo[T]) pop() (v T, ok bool) {
	if f.len() == 0 {
		return v, false
	}
	var none T
	v, f.list[f.from] = f.list[f.from], none
	f.from++
	if f.len() == 0 {
		f.list, f.from = f.list[:0], 0
	}
	return v, true
}
