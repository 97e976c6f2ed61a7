// Package link evaluates the definitions of a component, those of the components in it at the
// place where they are instantiated, to a plan for the engine, to what each host function of the
// plan does, to what the component exports, and to what the host must give.
//
// The component has been validated. Where a definition still makes no sense here, linking fails
// with an error; it does not panic. A linked component does not change; any goroutine may use it.
package link
