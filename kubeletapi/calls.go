package kubeletapi

import (
	"context"
	"net/http"
	"sync"
)

// counted lets a shutdown wait for all requests, even for those whose connections net/http has
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

// calls counts the calls that are under way, so that a caller can wait for their end.
type calls struct {
	mu   sync.Mutex
	shut bool
	work sync.WaitGroup
}

// begin reports whether a call may begin. After wait it returns false.
func (c *calls) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.shut {
		c.work.Add(1)
	}
	return !c.shut
}

func (c *calls) end() { c.work.Done() }

// wait lets no more calls begin, and waits until all have ended.
func (c *calls) wait() {
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
	c.work.Wait()
}

// waitUntil is wait, but it gives up when ctx ends.
func (c *calls) waitUntil(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { // it ends with the last call
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
