package p2

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

const (
	// maxFields is how many bytes the fields of one message have, as in wasmtime. Servers accept 8
	// to 64 KiB. fieldCost is what a field counts beside its bytes.
	maxFields = 128 << 10
	fieldCost = 64
	// maxAllFields is how many bytes all fields of a guest have, with the other texts of its requests.
	maxAllFields = 4 << 20
)

var errFields = fmt.Errorf("the guest has HTTP fields of more than %d bytes, or of %d bytes together", maxFields, maxAllFields)

// fields is the resource fields of wasi:http: names and values in the guest's order.
type fields struct {
	host      *Host
	list      []field
	size      int
	immutable bool
}

// field is one field. It is never changed.
type field = typed.Tuple2[bindings.FieldName, bindings.FieldValue]

func sizeOf(name string, value []byte) int { return len(name) + len(value) + fieldCost }

func headerError(c bindings.HeaderErrorCase) error { return bindings.HeaderError{Case: c} }

// forbidden are the names of fields that belong to a connection. The host sets them, as wasmtime
// does.
var forbidden = map[string]bool{
	"connection": true, "host": true, "http2-settings": true, "keep-alive": true, "proxy-authenticate": true,
	"proxy-authorization": true, "proxy-connection": true, "transfer-encoding": true, "upgrade": true,
}

// newFields makes fields of a list, which they then own.
func (h *Host) newFields(list []field, immutable bool) (*fields, error) {
	if err := h.take(webObjects); err != nil {
		return nil, err
	}
	f := &fields{host: h, list: list, immutable: immutable}
	size := 0
	for _, e := range list {
		size += sizeOf(e.A, e.B)
	}
	if err := f.grow(size); err != nil {
		f.host.give(webObjects)
		return nil, err
	}
	return f, nil
}

// grow counts bytes that are added, or with a negative number removed.
func (f *fields) grow(n int) error {
	if n > 0 && (f.size+n > maxFields || f.host.fields+n > maxAllFields) {
		return errFields
	}
	f.size += n
	f.host.fields += n
	return nil
}

// Drop implements typed.Resource.
func (f *fields) Drop() {
	f.host.fields -= f.size
	f.list, f.size = nil, 0
	f.host.give(webObjects)
}

// NewFields implements bindings.HTTPHost.
func (w web) NewFields(context.Context) (bindings.Fields, error) { return w.host.newFields(nil, false) }

// FieldsFromList implements bindings.HTTPHost.
func (w web) FieldsFromList(ctx context.Context, entries []field) (bindings.Fields, error) {
	f, err := w.host.newFields(nil, false)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if i%perLook == perLook-1 {
			err = w.host.guest.Look(ctx)
		}
		if err == nil {
			err = f.Append(ctx, e.A, e.B)
		}
		if err != nil {
			f.Drop()
			return nil, err
		}
	}
	return f, nil
}

// changeable returns an error if no field of that name can be changed.
func (f *fields) changeable(name string) error {
	switch {
	case f.immutable:
		return headerError(bindings.HeaderErrorImmutable)
	case !isToken(name):
		return headerError(bindings.HeaderErrorInvalidSyntax)
	case forbidden[strings.ToLower(name)]:
		return headerError(bindings.HeaderErrorForbidden)
	}
	return nil
}

// isToken reports whether the text is a token of HTTP (RFC 9110, 5.6.2).
func isToken(text string) bool {
	if text == "" || len(text) > maxFields {
		return false
	}
	for i := range len(text) {
		c := text[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// isValue reports whether the bytes can be the value of a field (RFC 9110, 5.5).
func isValue(value []byte) bool {
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// Get implements bindings.Fields.
func (f *fields) Get(_ context.Context, name bindings.FieldName) (values []bindings.FieldValue, _ error) {
	for _, e := range f.list {
		if strings.EqualFold(e.A, name) {
			values = append(values, e.B)
		}
	}
	return values, nil
}

// Has implements bindings.Fields.
func (f *fields) Has(_ context.Context, name bindings.FieldName) (bool, error) {
	for _, e := range f.list {
		if strings.EqualFold(e.A, name) {
			return true, nil
		}
	}
	return false, nil
}

// Set implements bindings.Fields.
func (f *fields) Set(_ context.Context, name bindings.FieldName, values []bindings.FieldValue) error {
	if err := f.changeable(name); err != nil {
		return err
	}
	size := 0
	for _, v := range values {
		if !isValue(v) {
			return headerError(bindings.HeaderErrorInvalidSyntax)
		}
		if size += sizeOf(name, v); size > maxFields {
			return errFields
		}
	}
	f.remove(name)
	if err := f.grow(size); err != nil {
		return err
	}
	for _, v := range values {
		f.list = append(f.list, field{A: name, B: bytes.Clone(v)})
	}
	return nil
}

// Delete implements bindings.Fields.
func (f *fields) Delete(_ context.Context, name bindings.FieldName) error {
	if err := f.changeable(name); err != nil {
		return err
	}
	f.remove(name)
	return nil
}

// remove removes the fields of a name. Others may have the list as it was.
func (f *fields) remove(name string) {
	kept, size := make([]field, 0, len(f.list)), 0
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

// Append implements bindings.Fields.
func (f *fields) Append(_ context.Context, name bindings.FieldName, value bindings.FieldValue) error {
	if err := f.changeable(name); err != nil {
		return err
	}
	if !isValue(value) {
		return headerError(bindings.HeaderErrorInvalidSyntax)
	}
	if err := f.grow(sizeOf(name, value)); err != nil {
		return err
	}
	f.list = append(f.list, field{A: name, B: bytes.Clone(value)})
	return nil
}

// Entries implements bindings.Fields.
func (f *fields) Entries(context.Context) ([]field, error) { return f.list, nil }

// Clone implements bindings.Fields. The copy can be changed.
func (f *fields) Clone(context.Context) (bindings.Fields, error) {
	return f.host.newFields(append([]field(nil), f.list...), false)
}

// view returns fields that show the same list and cannot be changed.
func (f *fields) view() (bindings.Fields, error) { return f.host.newFields(f.list, true) }
