package life

import "time"

// Back-off as the kubelet has it, for restarts and for pulls: the first restart is immediate, then
// 10 s doubling to 300 s; forgotten by a container that ran for 10 minutes.
const (
	backOffFirst  = 10 * time.Second
	backOffMax    = 300 * time.Second
	backOffForget = 10 * time.Minute
)

// backOff is a delay that grows; the zero value has none.
type backOff struct {
	delay time.Duration
	grown time.Time // when it last grew
}

func (b *backOff) grow(now time.Time) {
	b.delay = min(backOffMax, max(backOffFirst, 2*b.delay))
	b.grown = now
}

// forget drops the delay if it has not grown for long before now.
func (b *backOff) forget(now time.Time) {
	if now.Sub(b.grown) > backOffForget {
		*b = backOff{}
	}
}
