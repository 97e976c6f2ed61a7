package command

import (
	"context"
	"errors"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/instance"
	"github.com/krustlet-go/krustlet-wasi/runtime/component/typed"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/config"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/extra"
	bindingsx "github.com/krustlet-go/krustlet-wasi/runtime/wasi/extra/bindings"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2"
	bindings2 "github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3"
	bindings3 "github.com/krustlet-go/krustlet-wasi/runtime/wasi/p3/bindings"
)

// Host is the host of one guest. One component may use both versions of WASI.
type Host struct {
	guest  *wasi.Guest
	p2     *p2.Host
	p3     *p3.Host
	extra  *extra.Host
	sender *http.Sender
}

var (
	_ bindings2.Guest = (*Host)(nil)
	_ bindings3.Guest = (*Host)(nil)
	_ bindingsx.Guest = (*Host)(nil)
	_ instance.Looker = (*Host)(nil)
)

// NewHost makes the host of a guest. ctx has to end when the guest must end. c sends the guest's
// HTTP requests; without it they are denied.
func NewHost(ctx context.Context, cfg wasi.Config, c *client.Client) (*Host, error) {
	cfg.Confined = true
	g, err := wasi.New(cfg)
	if err != nil {
		return nil, err
	}
	values := config.New(cfg.Env, cfg.ConfigFolders)
	h := &Host{guest: g, p2: p2.New(ctx, g), p3: p3.New(ctx, g), extra: extra.New(g, values), sender: http.NewSender(ctx, c)}
	h.p2.SendBy(h.sender)
	h.p3.SendBy(h.sender)
	return h, nil
}

// Begin implements typed.Guest.
func (h *Host) Begin(c *canon.Call) context.Context { return h.p3.Begin(c) }

// Look implements instance.Looker.
func (h *Host) Look() error { return h.p3.Look() }

// WASIP2 implements bindings2.Guest.
func (h *Host) WASIP2() *bindings2.Host { return h.p2.WASIP2() }

// WASIP3 implements bindings3.Guest.
func (h *Host) WASIP3() *bindings3.Host { return h.p3.WASIP3() }

// WASIExtra implements bindingsx.Guest.
func (h *Host) WASIExtra() *bindingsx.Host { return h.extra.WASIExtra() }

// Quiesce asks the guest to end: see wasi.Guest. Any goroutine may call it.
func (h *Host) Quiesce() { h.guest.Quiesce() }

// Traffic is what the guest's connections have moved. Any goroutine may call it.
func (h *Host) Traffic() wasi.Traffic { return h.guest.Traffic() }

// Close closes what the guest had open. The guest must have ended.
func (h *Host) Close() error {
	h.sender.Close()
	return errors.Join(h.p3.Close(), h.p2.Close(), h.guest.CloseInitial(), h.guest.Close())
}

// functions are the host's functions for commands: all of both versions and of the proposals,
// whatever the component's world is.
var functions = typed.Tables{&bindings2.Table, &bindings3.Table, &bindingsx.Table}
