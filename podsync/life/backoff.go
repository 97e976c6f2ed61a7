package life

import "time"

// Back-off for restarts and pulls is as in the kubelet. The first restart is immediate. Then the
// delay is 10 s and doubles up to 300 s. A container that ran for 10 minutes has no delay again.
const (
	backOffFirst  = 10 * time.Second
	backOffMax    = 300 * time.Second
	backOffForget = 10 * time.Minute
)

// backOff is a delay that grows. The zero value is no delay.
type backOff struct {
	delay time.Duration
	grown time.Time // when it grew for the last time
}

func (b *backOff) grow(now time.Time) {
	b.delay = min(backOffMax, max(backOffFirst, 2*b.delay))
	b.grown = now
}

// forget resets the delay if it has not grown for a long time.
func (b *backOff) forget(now time.Time) {
	if now.Sub(b.grown) > backOffForget {
		*b = backOff{}
	}
}
