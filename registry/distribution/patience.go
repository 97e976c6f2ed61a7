package distribution

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/krustlet-go/krustlet-wasi/runtime/pause"
)

// patience waits when a server asks for it. It waits as long as its Retry-After says; without that
// header, each wait is twice as long as the last.
type patience struct {
	inner http.RoundTripper
}

const (
	firstWait = 200 * time.Millisecond // if the server does not say how long
	waits     = 4                      // the most for one request
	maxWait   = time.Minute            // for one request in total; if a server asks for more, the request is not repeated
)

func (p patience) RoundTrip(req *http.Request) (*http.Response, error) {
	var waited time.Duration
	backoff := wait.Backoff{Duration: firstWait, Factor: 2, Steps: waits}
	for i := 0; ; i++ {
		resp, err := p.inner.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
			return resp, err
		}
		long := backoff.Step()
		if asked, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
			long = asked
		}
		waited += long
		again, ok := repeatable(req)
		if !ok || i == waits || waited > maxWait {
			return resp, nil
		}
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10) // so that the connection can be used again
		_ = resp.Body.Close()
		if err := pause.For(req.Context(), long); err != nil {
			return nil, err
		}
		req = again
	}
}

// retryAfter reads the header's value, a number of seconds or a date.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

// repeatable returns the same request for another attempt, if its body can be read again.
func repeatable(req *http.Request) (*http.Request, bool) {
	if req.Body == nil || req.Body == http.NoBody {
		return req, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	req = req.Clone(req.Context())
	req.Body = body
	return req, true
}
