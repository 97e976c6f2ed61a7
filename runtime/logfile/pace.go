package logfile

import (
	"context"
	"time"
)

// The total cost of all followers of one Watcher is bounded. Together they read their logs at most
// wakeRate times a second, unless a follower would then have to wait longer than maxPause. So a
// single follower sees a line when it is written, and with hundreds of followers each reads the
// lines of the last tenth of a second together.
const (
	wakeRate = 2000
	maxPause = 100 * time.Millisecond
)

// pause returns how long each follower waits after it has shown all of its log.
func pause(followers int) time.Duration {
	return min(time.Duration(followers)*time.Second/wakeRate, maxPause)
}

// await waits for new text, and not less than until the given time. more is false when the log has
// ended and no more text will be written.
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
