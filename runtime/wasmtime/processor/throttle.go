package processor

import "time"

// Period is the time over which a guest may save processor time that it did not use, as in Linux'
// own control groups (cpu.cfs_period_us).
const Period = 100 * time.Millisecond

// throttle limits a guest's use of processor time. It only computes; the caller waits.
type throttle struct {
	limit  int64 // thousandths of a processor
	credit time.Duration
	at     time.Time
	cpu    time.Duration
}

// newThrottle starts with a full credit. cpu is what the thread has used so far.
func newThrottle(limit int64, now time.Time, cpu time.Duration) *throttle {
	return &throttle{limit: limit, credit: portion(Period, limit), at: now, cpu: cpu}
}

// wait returns how long the guest must wait. cpu is the total that its thread has used.
func (t *throttle) wait(now time.Time, cpu time.Duration) time.Duration {
	used := cpu - t.cpu
	idle := max(now.Sub(t.at)-used, 0)
	t.credit = min(t.credit+portion(idle, t.limit), portion(Period, t.limit)) + portion(used, t.limit) - used
	t.at, t.cpu = now, cpu
	if t.credit >= 0 {
		return 0
	}
	return time.Duration(float64(-t.credit) * 1000 / float64(t.limit))
}

// portion is limit thousandths of d.
func portion(d time.Duration, limit int64) time.Duration {
	return time.Duration(float64(d) * float64(limit) / 1000)
}
