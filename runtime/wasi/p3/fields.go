package p3

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// fields is the resource fields of wasi:http.
type fields struct{ of *http.Fields }

// fieldsError is an error of fields as a function of wasi:http returns it.
func fieldsError(err error) error {
	switch {
	case errors.Is(err, http.ErrSyntax):
		return bindings.HeaderError{Case: bindings.HeaderErrorInvalidSyntax}
	case errors.Is(err, http.ErrForbidden):
		return bindings.HeaderError{Case: bindings.HeaderErrorForbidden}
	case errors.Is(err, http.ErrImmutable):
		return bindings.HeaderError{Case: bindings.HeaderErrorImmutable}
	case errors.Is(err, http.ErrSize), errors.Is(err, http.ErrObjects):
		return bindings.HeaderError{Case: bindings.HeaderErrorSizeExceeded}
	}
	return err
}

// resource is the resource of new fields. WIT has no error for it, so the error ends the guest.
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
func (w web) FieldsFromList(ctx context.Context, entries []http.Field) (bindings.Fields, error) {
	of, err := http.NewFields(&w.host.web)
	if err != nil {
		return nil, fieldsError(err)
	}
	f := &fields{of}
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

// GetAndDelete implements bindings.Fields.
func (f *fields) GetAndDelete(_ context.Context, name bindings.FieldName) ([]bindings.FieldValue, error) {
	values := f.of.Get(name)
	return values, fieldsError(f.of.Delete(name))
}

// Append implements bindings.Fields. All fields of a name have the spelling of the first one, as in
// wasmtime.
func (f *fields) Append(_ context.Context, name bindings.FieldName, value bindings.FieldValue) error {
	return fieldsError(f.of.Append(f.of.Spelling(name), value))
}

// CopyAll implements bindings.Fields.
func (f *fields) CopyAll(context.Context) ([]http.Field, error) { return f.of.Entries(), nil }

// Clone implements bindings.Fields. The copy can be changed.
func (f *fields) Clone(context.Context) (bindings.Fields, error) { return resource(f.of.Clone()) }
