package tlsbootstrap

import (
	"errors"
	"fmt"
	"time"
)

// patience decides which errors end a bootstrap: those that no retry cures, and silence.
type patience struct {
	limit  time.Duration
	server string
	now    func() time.Time

	start      time.Time
	contact    bool
	rejectedAt time.Time
}

// rejectionGrace is how long a rejection must last: an API server that has just started, or a token
// that has just been made, is rejected for a moment.
const rejectionGrace = 2 * time.Second

func (p *patience) begin() { p.start = p.now() }

// judge returns the error to give up with, or nil to go on.
func (p *patience) judge(err error) error {
	switch {
	case untrusted(err):
		return err
	case rejected(err):
		p.contact = true
		if p.rejectedAt.IsZero() {
			p.rejectedAt = p.now()
		}
		if p.now().Sub(p.rejectedAt) >= rejectionGrace {
			return err
		}
		return nil
	}
	p.rejectedAt = time.Time{}
	p.contact = p.contact || answered(err) || errors.Is(err, errPending) || errors.Is(err, errGone)
	if !p.contact && p.now().Sub(p.start) >= p.limit {
		return fmt.Errorf("no answer from the API server %s within %s, check the address and that it runs: %w", p.server, p.limit, err)
	}
	return nil
}
