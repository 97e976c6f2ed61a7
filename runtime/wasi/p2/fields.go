package p2

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// fields is the resource fields of wasi:http.
type fields struct{ of *http.Fields }

// field is one field.
type field = http.Field

func headerError(c bindings.HeaderErrorCase) error { return bindings.HeaderError{Case: c} }

// fieldsError is an error of a change of fields as WASI 0.2 has it, or one that ends the guest.
func fieldsError(err error) error {
	switch {
	case errors.Is(err, http.ErrSyntax):
		return headerError(bindings.HeaderErrorInvalidSyntax)
	case errors.Is(err, http.ErrForbidden):
		return headerError(bindings.HeaderErrorForbidden)
	case errors.Is(err, http.ErrImmutable):
		return headerError(bindings.HeaderErrorImmutable)
	}
	return err
}

// resource is the resource of new fields.
func resource(of *http.Fields, err error) (bindings.Fields, error) {
	if err != nil {
		return nil, err
	}
	return &fields{of}, nil
}

// NewFields implements bindings.HTTPHost.
func (w web) NewFields(context.Context) (bindings.Fields, error) {
	return resource(http.NewFields(&w.host.web))
}

// FieldsFromList implements bindings.HTTPHost.
func (w web) FieldsFromList(ctx context.Context, entries []field) (bindings.Fields, error) {
	f, err := http.NewFields(&w.host.web)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if i%perLook == perLook-1 {
			err = w.host.guest.Look(ctx)
		}
		if err == nil {
			err = fieldsError(f.Append(e.A, e.B))
		}
		if err != nil {
			f.Drop()
			return nil, err
		}
	}
	return &fields{f}, nil
}

// Drop implements typed.Resource.
func (f *fields) Drop() { f.of.Drop() }

// Get implements bindings.Fields.
func (f *fields) Get(_ context.Context, name bindings.FieldName) ([]bindings.FieldValue, error) {
	return f.of.Get(name), nil
}

// Has implements bindings.Fields.
func (f *fields) Has(_ context.Context, name bindings.FieldName) (bool, error) {
	return f.of.Has(name), nil
}

// Set implements bindings.Fields.
func (f *fields) Set(_ context.Context, name bindings.FieldName, values []bindings.FieldValue) error {
	return fieldsError(f.of.Set(name, values))
}

// Delete implements bindings.Fields.
func (f *fields) Delete(_ context.Context, name bindings.FieldName) error {
	return fieldsError(f.of.Delete(name))
}

// Append implements bindings.Fields.
func (f *fields) Append(_ context.Context, name bindings.FieldName, value bindings.FieldValue) error {
	return fieldsError(f.of.Append(name, value))
}

// Entries implements bindings.Fields.
func (f *fields) Entries(context.Context) ([]field, error) { return f.of.Entries(), nil }

// Clone implements bindings.Fields. The copy can be changed.
func (f *fields) Clone(context.Context) (bindings.Fields, error) { return resource(f.of.Clone()) }
