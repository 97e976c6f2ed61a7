package http

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
)

// Errors of a change of fields.
var (
	ErrSyntax    = errors.New("the name or value of an HTTP field is not valid")
	ErrForbidden = errors.New("the HTTP field is the host's")
	ErrImmutable = errors.New("the HTTP fields cannot be changed")
)

// Field is the name and value of a field. It is never changed.
type Field = typed.Tuple2[string, []byte]

// Fields are names and values in the guest's order. Names are alike in both cases.
type Fields struct {
	room      *Room
	list      []Field
	size      int
	immutable bool
}

func sizeOf(name string, value []byte) int { return len(name) + len(value) + FieldCost }

// forbidden are the names of fields that belong to a connection. The host sets them, as wasmtime
// does.
var forbidden = map[string]bool{
	"connection": true, "host": true, "http2-settings": true, "keep-alive": true, "proxy-authenticate": true,
	"proxy-authorization": true, "proxy-connection": true, "transfer-encoding": true, "upgrade": true,
}

// NewFields makes fields without a field. The error is ErrObjects.
func NewFields(r *Room) (*Fields, error) { return newFields(r, nil, false) }

// newFields makes fields of a list, which they then own.
func newFields(r *Room, list []Field, immutable bool) (*Fields, error) {
	if err := r.Take(); err != nil {
		return nil, err
	}
	f := &Fields{room: r, list: list, immutable: immutable}
	size := 0
	for _, e := range list {
		size += sizeOf(e.A, e.B)
	}
	if err := f.grow(size); err != nil {
		r.Give()
		return nil, err
	}
	return f, nil
}

// Received makes fields that a message came with. They cannot be changed, and the list is not
// changed any more. The error is ErrObjects or ErrSize: Fits says whether it is the list's.
func Received(r *Room, list []Field) (*Fields, error) { return newFields(r, list, true) }

// Fits reports whether the fields are not larger than a message's may be.
func Fits(list []Field) bool {
	size := 0
	for _, e := range list {
		size += sizeOf(e.A, e.B)
	}
	return size <= MaxFields
}

// grow counts bytes that are added, or with a negative number removed.
func (f *Fields) grow(n int) error {
	if n > 0 && f.size+n > MaxFields {
		return ErrSize
	}
	if err := f.room.add(n); err != nil {
		return err
	}
	f.size += n
	return nil
}

// Drop ends the fields.
func (f *Fields) Drop() {
	f.room.bytes -= f.size
	f.list, f.size = nil, 0
	f.room.Give()
}

// Freeze makes the fields those of a message: they cannot be changed any more.
func (f *Fields) Freeze() { f.immutable = true }

// changeable returns an error if no field of that name can be changed.
func (f *Fields) changeable(name string) error {
	switch {
	case f.immutable:
		return ErrImmutable
	case len(name) > MaxFields || !IsToken(name):
		return ErrSyntax
	case forbidden[strings.ToLower(name)]:
		return ErrForbidden
	}
	return nil
}

// Get returns the values of a name.
func (f *Fields) Get(name string) (values [][]byte) {
	for _, e := range f.list {
		if strings.EqualFold(e.A, name) {
			values = append(values, e.B)
		}
	}
	return values
}

// Has reports whether there is a field of that name.
func (f *Fields) Has(name string) bool { return f.find(name) != nil }

func (f *Fields) find(name string) *Field {
	for i := range f.list {
		if strings.EqualFold(f.list[i].A, name) {
			return &f.list[i]
		}
	}
	return nil
}

// Spelling returns the name as its first field has it, or as it is if there is none.
func (f *Fields) Spelling(name string) string {
	if e := f.find(name); e != nil {
		return e.A
	}
	return name
}

// Set replaces the fields of a name. If the error is ErrSize, they may be gone.
func (f *Fields) Set(name string, values [][]byte) error {
	if err := f.changeable(name); err != nil {
		return err
	}
	size := 0
	for _, v := range values {
		if !isValue(v) {
			return ErrSyntax
		}
		if size += sizeOf(name, v); size > MaxFields {
			return ErrSize
		}
	}
	f.remove(name)
	if err := f.grow(size); err != nil {
		return err
	}
	for _, v := range values {
		f.list = append(f.list, Field{A: name, B: bytes.Clone(v)})
	}
	return nil
}

// Delete removes the fields of a name.
func (f *Fields) Delete(name string) error {
	if err := f.changeable(name); err != nil {
		return err
	}
	f.remove(name)
	return nil
}

// remove removes the fields of a name. Others may have the list as it was.
func (f *Fields) remove(name string) {
	kept, size := make([]Field, 0, len(f.list)), 0
	for _, e := range f.list {
		if strings.EqualFold(e.A, name) {
			size += sizeOf(e.A, e.B)
			continue
		}
		kept = append(kept, e)
	}
	f.list = kept
	_ = f.grow(-size) // it cannot fail
}

// Append adds a field.
func (f *Fields) Append(name string, value []byte) error {
	if err := f.changeable(name); err != nil {
		return err
	}
	if !isValue(value) {
		return ErrSyntax
	}
	if err := f.grow(sizeOf(name, value)); err != nil {
		return err
	}
	f.list = append(f.list, Field{A: name, B: bytes.Clone(value)})
	return nil
}

// Entries returns all fields. The caller may not change them.
func (f *Fields) Entries() []Field { return f.list }

// Clone returns a copy, which can be changed. The error is ErrObjects or ErrSize.
func (f *Fields) Clone() (*Fields, error) {
	return newFields(f.room, append([]Field(nil), f.list...), false)
}

// View returns fields that show the same list and cannot be changed. The error is as of Clone.
func (f *Fields) View() (*Fields, error) { return newFields(f.room, f.list, true) }

// IsForbidden reports whether a field of that name, in lower case, is the host's.
func IsForbidden(name string) bool { return forbidden[name] }

// ContentLength returns the number of bytes that the field content-length of a message says, or -1
// without one. The error is ErrLength.
func ContentLength(list []Field) (int64, error) {
	length := int64(-1)
	for _, f := range list {
		if !strings.EqualFold(f.A, "content-length") {
			continue
		}
		n, err := strconv.ParseUint(string(f.B), 10, 63)
		if err != nil || length >= 0 && length != int64(n) {
			return 0, ErrLength
		}
		length = int64(n)
	}
	return length, nil
}
