package logfile

import (
	"context"
	"time"
)

// The cost of all followers of one Watcher together is bounded: they look at their logs wakeRate
// times a second at most, as long as each of them can then do so every maxPause. So one follower
// sees a line when it is written, and hundreds see it with the others of the last tenth of a
// second.
const (
	wakeRate = 2000
	maxPause = 100 * time.Millisecond
)

// pause returns how long each of that many followers leaves its log alone once it has shown all of
// it.
func pause(followers int) time.Duration {
	return min(time.Duration(followers)*time.Second/wakeRate, maxPause)
}

// await waits until there may be something new, but at least until that time. more is false when
// the log has ended and nothing comes that is not written already.
func (sub *subscription) await(ctx context.Context, done <-chan struct{}, before time.Time) (more bool, err error) {
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-done:
		return false, nil
	case <-sub.ended:
		return false, nil
	case <-sub.wrote:
	}
	early := time.Until(before)
	if early <= 0 {
		return true, nil
	}
	timer := time.NewTimer(early)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-done:
		return false, nil
	case <-sub.ended:
		return false, nil
	case <-timer.C:
		return true, nil
	}
}
