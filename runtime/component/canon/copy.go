package canon

// Copy lifts a value and lowers it on another side, or on the same. Both have the same type.
func Copy(to Place, from Value) {
	panic("not yet")
}

// CopyAll copies values to as many places: those of a stream that one read and one write share.
func CopyAll(to Places, from Values) {
	panic("not yet")
}
