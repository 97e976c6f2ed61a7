package tlsbootstrap

import (
	"errors"
	"fmt"
	"time"
)

// patience decides when a bootstrap gives up: after an error for which a retry does not help, or if
// no answer comes for too long.
type patience struct {
	limit  time.Duration
	server string
	now    func() time.Time

	start      time.Time
	contact    bool
	rejectedAt time.Time
}

// rejectionGrace is how long the API server must reject a request before the bootstrap gives up. An
// API server that has just started may reject for a moment; it may also reject a new token.
const rejectionGrace = 2 * time.Second

func (p *patience) begin() { p.start = p.now() }

// judge returns the error to give up with, or nil if the bootstrap should go on.
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
