package handler

import goruntime "runtime"

// presence says whether a goroutine is in an instance: its thread is one of the guest's. To enter
// and to leave costs some system calls, so a request enters once where it can, to make its
// instance, to run it, and to end it. The zero value is outside.
type presence struct{ end func() }

// enter enters the machine, if the goroutine is not in it.
func (p *presence) enter(m Machine) error {
	if p.end != nil {
		return nil
	}
	goruntime.LockOSThread()
	end, err := m.Thread()
	if err != nil {
		goruntime.UnlockOSThread()
		return err
	}
	p.end = end
	return nil
}

// leave leaves the machine, if the goroutine is in it.
func (p *presence) leave() {
	if p.end == nil {
		return
	}
	p.end()
	p.end = nil
	goruntime.UnlockOSThread()
}
