package p3

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// NewRequestOptions implements bindings.HTTPHost.
func (w web) NewRequestOptions(context.Context) (bindings.RequestOptions, error) {
	o, err := (&requestOptions{host: w.host}).copied(false)
	if err != nil {
		return nil, err
	}
	return o, nil
}

// requestOptions is the resource request-options of wasi:http.
type requestOptions struct {
	host                             *Host
	connect, firstByte, betweenBytes typed.Option[bindings.Duration]
	immutable                        bool
}

// copied returns a copy, which can be changed or not. The error ends the guest.
func (o *requestOptions) copied(immutable bool) (*requestOptions, error) {
	if err := o.host.web.Take(); err != nil {
		return nil, err
	}
	other := *o
	other.immutable = immutable
	return &other, nil
}

// set sets one of the options.
func (o *requestOptions) set(option *typed.Option[bindings.Duration], d typed.Option[bindings.Duration]) error {
	if o.immutable {
		return bindings.RequestOptionsError{Case: bindings.RequestOptionsErrorImmutable}
	}
	*option = d
	return nil
}

// Drop implements typed.Resource.
func (o *requestOptions) Drop() { o.host.web.Give() }

// GetConnectTimeout implements bindings.RequestOptions.
func (o *requestOptions) GetConnectTimeout(context.Context) (typed.Option[bindings.Duration], error) {
	return o.connect, nil
}

// SetConnectTimeout implements bindings.RequestOptions.
func (o *requestOptions) SetConnectTimeout(_ context.Context, d typed.Option[bindings.Duration]) error {
	return o.set(&o.connect, d)
}

// GetFirstByteTimeout implements bindings.RequestOptions.
func (o *requestOptions) GetFirstByteTimeout(context.Context) (typed.Option[bindings.Duration], error) {
	return o.firstByte, nil
}

// SetFirstByteTimeout implements bindings.RequestOptions.
func (o *requestOptions) SetFirstByteTimeout(_ context.Context, d typed.Option[bindings.Duration]) error {
	return o.set(&o.firstByte, d)
}

// GetBetweenBytesTimeout implements bindings.RequestOptions.
func (o *requestOptions) GetBetweenBytesTimeout(context.Context) (typed.Option[bindings.Duration], error) {
	return o.betweenBytes, nil
}

// SetBetweenBytesTimeout implements bindings.RequestOptions.
func (o *requestOptions) SetBetweenBytesTimeout(_ context.Context, d typed.Option[bindings.Duration]) error {
	return o.set(&o.betweenBytes, d)
}

// Clone implements bindings.RequestOptions. The copy can be changed.
func (o *requestOptions) Clone(context.Context) (bindings.RequestOptions, error) {
	other, err := o.copied(false)
	if err != nil {
		return nil, err
	}
	return other, nil
}
