package kubeletapi

import (
	"context"
	"net/http"
	"sync"
)

// counted lets a shutdown wait for all requests, those included whose connections net/http has
// given up.
func counted(requests *calls, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !requests.begin() {
			writeError(w, errShutdown())
			return
		}
		defer requests.end()
		next.ServeHTTP(w, r)
	})
}

// calls counts what is under way, so that its end can be waited for.
type calls struct {
	mu   sync.Mutex
	shut bool
	work sync.WaitGroup
}

// begin reports whether a call may begin. It may not once wait was called.
func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shut {
		c.work.Add(1)
	}
	return !c.shut
}

func (c *calls) end() { c.work.Done() }

// wait waits until all have ended. No more begin.
func (c *calls) wait() {
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
	c.work.Wait()
}

// waitUntil is wait, but for no longer than ctx.
func (c *calls) waitUntil(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { // ends with the last call
		defer close(ended)
		c.wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
