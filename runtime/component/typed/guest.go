package typed

import (
	"context"

	"github.com/krustlet-go/krustlet-wasi/runtime/component/canon"
)

// Guest is what canon.Call.Host has to be: the host's state of one guest.
type Guest interface {
	// Begin is called once in each call, before the host's function. It returns what that gets: a
	// context that ends when the guest has to end.
	Begin(c *canon.Call) context.Context
}

// Begin returns the context that a host function gets.
func Begin(c *canon.Call) context.Context { return c.Host.(Guest).Begin(c) }

// Resource is a resource of the host, which guests have handles of.
type Resource interface {
	// Drop is called when the guest dropped its own handle of the resource.
	Drop()
}

// LiftResource returns the host's resource that a handle stands for.
func LiftResource[T Resource](v canon.Value) T { return v.Handle().Host.(T) }

// LowerResource makes a handle of a resource.
func LowerResource[T Resource](p canon.Place, r T) { p.Handle(canon.Handle{Host: r}) }
