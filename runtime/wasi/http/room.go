package http

import "fmt"

const (
	// MaxFields is how many bytes the fields of one message have, as in wasmtime. Servers accept 8
	// to 64 KiB.
	MaxFields = 128 << 10
	// FieldCost is what a field counts beside its bytes.
	FieldCost = 64
	// MaxAllFields is how many bytes all fields of a guest have, with the other texts of its requests.
	MaxAllFields = 4 << 20
	// MaxObjects is how many requests, responses, bodies, options and fields a guest holds. A
	// gateway holds some for each request. One takes 100 bytes, and its fields and texts.
	MaxObjects = 4096
	// MaxText is how many bytes a method, scheme, authority or path has. Servers accept some 8 KiB.
	MaxText = 16 << 10
)

// Errors of what a guest has too much of. They end a guest whose function has no other error.
var (
	ErrSize    = fmt.Errorf("the guest has HTTP fields of more than %d bytes, or of %d bytes together", MaxFields, MaxAllFields)
	ErrObjects = fmt.Errorf("the guest holds more than %d HTTP objects", MaxObjects)
)

// Room counts the objects of one guest, and the bytes of its fields and texts. The zero Room is
// empty.
type Room struct{ objects, bytes int }

// Take counts an object. The error is ErrObjects.
func (r *Room) Take() error {
	if r.objects >= MaxObjects {
		return ErrObjects
	}
	r.objects++
	return nil
}

// Give counts an object that the guest dropped.
func (r *Room) Give() { r.objects-- }

// Used returns how many objects the guest holds, and how many bytes they have.
func (r *Room) Used() (objects, bytes int) { return r.objects, r.bytes }

// add counts bytes, or with a negative number removes them.
func (r *Room) add(n int) error {
	if n > 0 && r.bytes+n > MaxAllFields {
		return ErrSize
	}
	r.bytes += n
	return nil
}

// Texts counts the texts of a request.
type Texts struct {
	room *Room
	kept int
}

// NewTexts returns the count of a request without texts.
func NewTexts(r *Room) Texts { return Texts{room: r} }

// Replace counts a text that takes the place of an older one. The error is ErrSize.
func (t *Texts) Replace(old, text string) error {
	n := len(text) - len(old)
	if err := t.room.add(n); err != nil {
		return err
	}
	t.kept += n
	return nil
}

// Drop ends the count when the guest dropped the request.
func (t *Texts) Drop() {
	t.room.bytes -= t.kept
	t.kept = 0
}
