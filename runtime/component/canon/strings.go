package canon

// loadString lifts a string at an address with a number of code units.
func (f *Frame) loadString(at, n uint32) string { panic("not yet") }

// storeGo lowers a string of the host.
func (f *Frame) storeGo(s string) (at, n uint32) { panic("not yet") }
