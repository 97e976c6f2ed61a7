package extra

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/config"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/extra/bindings"
)

// Host gives one guest the functions of the proposals. A type that has it, and Begin, can be a
// bindings.Guest.
type Host struct {
	guest    *wasi.Guest
	values   *config.Store
	bindings bindings.Host
}

// New makes the host of a guest, which finds these values.
func New(g *wasi.Guest, values *config.Store) *Host {
	h := &Host{guest: g, values: values}
	h.bindings = bindings.Host{Store: store{h}, Logging: logging{h}}
	return h
}

// WASIExtra is what bindings.Guest wants.
func (h *Host) WASIExtra() *bindings.Host { return &h.bindings }

// store has the functions of wasi:config/store.
type store struct{ host *Host }

// Get implements bindings.StoreHost.
func (s store) Get(_ context.Context, key string) (typed.Option[string], error) {
	value, ok, err := s.host.values.Get(key)
	return typed.Option[string]{Is: ok, Value: value}, fault(err)
}

// GetAll implements bindings.StoreHost.
func (s store) GetAll(ctx context.Context) ([][2]string, error) {
	all, err := s.host.values.All(ctx, s.host.guest.Look)
	return all, fault(err)
}

// fault is what the guest is told of an error.
func fault(err error) error {
	var unfit *config.Unfit
	switch {
	case err == nil || errors.Is(err, wasi.ErrKilled):
		return err
	case errors.As(err, &unfit):
		return bindings.Error{Case: bindings.ErrorUpstream, Upstream: err.Error()}
	}
	return bindings.Error{Case: bindings.ErrorIO, IO: err.Error()}
}
