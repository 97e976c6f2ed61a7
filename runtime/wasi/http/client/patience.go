package client

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Timeouts say how long parts of a request may take; 0 means the default.
type Timeouts struct {
	// Connect is for the lookup of the name, the connection, and TLS.
	Connect time.Duration
	// FirstByte is for the head of the response, from when the server has got what there is of the
	// request.
	FirstByte time.Duration
	// BetweenBytes is for each piece of the response's body, from when the guest has room for it.
	BetweenBytes time.Duration
}

// DefaultTimeout is what a request has without time-outs, as in wasmtime.
const DefaultTimeout = 10 * time.Minute

func (t Timeouts) orDefault() Timeouts {
	for _, d := range []*time.Duration{&t.Connect, &t.FirstByte, &t.BetweenBytes} {
		if *d <= 0 {
			*d = DefaultTimeout
		}
	}
	return t
}

// patience ends a request that takes too long. One time runs at a time.
type patience struct {
	Timeouts
	cancel    context.CancelCauseFunc
	lookingUp atomic.Bool // a dial for the request looks up a name

	mu       sync.Mutex
	timer    *time.Timer
	round    int // a timer of an earlier one may be about to fire
	answered bool
}

// start begins a time, in the place of the one that runs.
func (p *patience) start(d time.Duration, code Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin(d, code)
}

func (p *patience) begin(d time.Duration, code Code) {
	p.halt()
	round := p.round
	p.timer = time.AfterFunc(d, func() { p.expire(round, code) })
}

// halt ends the time that runs.
func (p *patience) halt() {
	p.round++
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// stop ends the time that runs.
func (p *patience) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.halt()
}

func (p *patience) expire(round int, code Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if round != p.round {
		return
	}
	if code == ConnectionTimeout && p.lookingUp.Load() {
		code = DNSTimeout
	}
	p.cancel(&Error{Code: code})
}

// sends begins the time of the server for what was sent; code says for what. From the response on,
// there is none.
func (p *patience) sends(code Code) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.answered {
		p.begin(p.FirstByte, code)
	}
}

// pauses stops the time while the guest has nothing to send.
func (p *patience) pauses() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.answered {
		p.halt()
	}
}

// answers says that there is a response.
func (p *patience) answers() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = true
	p.halt()
}
