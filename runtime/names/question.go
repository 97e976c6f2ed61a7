package names

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// question is what a server is asked: the addresses of one family of a name.
type question struct {
	name   string // canonical
	family dnsmessage.Type
}

// flight is a question under way. All who ask the same wait for it.
type flight struct {
	cancel  context.CancelFunc
	done    chan struct{} // closed when reply and err are set
	waiting int           // guarded by Resolver.mu
	reply   reply
	err     error
}

// kept is an answer in the cache.
type kept struct {
	reply reply
	until time.Time
}

// ask returns the answer to a question: the one that is kept, that of the same question under way,
// or a server's. The reply's held is how long it may still be kept. If no other waits for the
// question when ctx ends, ask returns after the question has ended.
func (r *Resolver) ask(ctx context.Context, q question) (reply, error) {
	r.mu.Lock()
	if answer, ok := r.kept(q); ok {
		r.mu.Unlock()
		return answer, nil
	}
	f := r.flights[q]
	if f == nil {
		f = r.begin(context.WithoutCancel(ctx), q)
	}
	f.waiting++
	r.mu.Unlock()
	select {
	case <-f.done:
		return f.reply, f.err
	case <-ctx.Done():
	}
	r.mu.Lock()
	f.waiting--
	last := f.waiting == 0
	if last && r.flights[q] == f {
		delete(r.flights, q)
	}
	r.mu.Unlock()
	if last {
		f.cancel()
		<-f.done
	}
	return reply{}, ctx.Err()
}

// kept returns the answer that is kept for a question.
func (r *Resolver) kept(q question) (answer reply, ok bool) {
	k, ok := r.cache.Get(q)
	if !ok {
		return reply{}, false
	}
	left := time.Until(k.(kept).until)
	if left <= 0 {
		r.cache.Remove(q)
		return reply{}, false
	}
	answer = k.(kept).reply
	answer.held = left
	return answer, true
}

// begin asks servers a question that is not under way. The caller holds mu.
func (r *Resolver) begin(ctx context.Context, q question) *flight {
	ctx, cancel := context.WithCancel(ctx)
	f := &flight{cancel: cancel, done: make(chan struct{})}
	r.flights[q] = f
	go func() {
		defer cancel()
		f.reply, f.err = r.askServers(ctx, q)
		r.mu.Lock()
		if f.err == nil && f.reply.held > 0 {
			r.cache.Add(q, kept{f.reply, time.Now().Add(f.reply.held)})
		}
		if r.flights[q] == f {
			delete(r.flights, q)
		}
		r.mu.Unlock()
		close(f.done)
	}()
	return f
}

// askServers asks one server after the other, each as often as resolv.conf says. A server that has
// answered is not asked again: it would say the same.
func (r *Resolver) askServers(ctx context.Context, q question) (reply, error) {
	select {
	case r.sockets <- struct{}{}:
		defer func() { <-r.sockets }()
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
	var first uint32
	if r.rotate {
		first = r.turn.Add(1) % uint32(len(r.servers))
	}
	failure := &Error{Reason: NoAnswer}
	answered := make([]bool, len(r.servers))
	for range r.attempts {
		for i := range r.servers {
			at := (int(first) + i) % len(r.servers)
			if answered[at] {
				continue
			}
			answer, err := r.askServer(ctx, r.servers[at], q)
			switch {
			case ctx.Err() != nil:
				return reply{}, ctx.Err()
			case err == nil && (answer.rcode == dnsmessage.RCodeSuccess || answer.rcode == dnsmessage.RCodeNameError):
				return answer, nil
			case err == nil:
				answered[at] = true
				failure = &Error{Reason: Failed, RCode: rcodeName(answer.rcode)}
			case isNonsense(err):
				answered[at] = true
				if failure.RCode == "" {
					failure = &Error{Reason: Failed, Cause: err}
				}
			case failure.Reason == NoAnswer:
				failure.Cause = fmt.Errorf("asking a server: %w", err)
			}
		}
	}
	return reply{}, failure
}

// isNonsense reports whether a server has answered, with a message that is none.
func isNonsense(err error) bool {
	return errors.Is(err, errBroken) || errors.Is(err, errAliases) || errors.Is(err, errLame) || errors.Is(err, errForeign) || errors.Is(err, errTruncated)
}
