package tlsbootstrap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// maxAnswer is the largest answer of the API server that is read, in bytes. A page of 50 pods,
	// none of which etcd takes above 1.5 MiB, is smaller.
	maxAnswer = 96 << 20
	// maxEvent is the largest event of a watch, in bytes: what client-go takes of one in protobuf.
	maxEvent = 16 << 20
	// answerTime bounds a call whose context does not, body included, and the time until a watch
	// begins. It is less than the lease lives without being renewed.
	answerTime = 20 * time.Second
	// maxRetryAfter bounds how long one answer may let a call wait. client-go waits for it up to
	// ten times.
	maxRetryAfter = 10 * time.Second
)

// ErrAnswerTooLarge is of an API server that sends more than a node reads.
var ErrAnswerTooLarge = errors.New("the API server sent more than is read at once")

var errNoAnswer = errors.New("the API server did not answer to the end in time")

// BoundAnswers lets clients made of a configuration read answers of bounded size and in bounded
// time, whatever the API server, or what stands before it, sends. client-go reads any answer to its
// end, waits for the beginning of one as long as its context lets it, and sleeps for as long as a
// Retry-After says.
func BoundAnswers(config *rest.Config) {
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return answers{inner, answerTime} })
}

type answers struct {
	inner  http.RoundTripper
	within time.Duration
}

// WrappedRoundTripper is for those who look for the TLS settings below.
func (a answers) WrappedRoundTripper() http.RoundTripper { return a.inner }

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	watch := isWatch(req)
	ctx, cancel := context.WithCancelCause(req.Context())
	end := func() { cancel(nil) }
	if _, bounded := ctx.Deadline(); watch || !bounded {
		timer := time.AfterFunc(a.within, func() { cancel(errNoAnswer) })
		end = func() { timer.Stop(); cancel(nil) }
		if watch { // its body may last
			defer timer.Stop()
		}
	}
	resp, err := a.inner.RoundTrip(req.WithContext(ctx))
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errNoAnswer) {
			err = cause
		}
		end()
		return nil, err
	}
	capRetryAfter(resp.Header)
	body := &boundedBody{ReadCloser: resp.Body, ctx: ctx, end: end, left: maxAnswer}
	if watch && resp.StatusCode == http.StatusOK {
		body.left, body.byLine = maxEvent, isJSON(resp.Header)
		body.unbounded = !body.byLine // client-go bounds an event in protobuf by itself
	}
	resp.Body = body
	return resp, nil
}

func isWatch(req *http.Request) bool {
	watch, err := strconv.ParseBool(req.URL.Query().Get("watch"))
	return err == nil && watch
}

func isJSON(header http.Header) bool {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err != nil || kind != "application/vnd.kubernetes.protobuf"
}

func capRetryAfter(header http.Header) {
	const name, most = "Retry-After", int(maxRetryAfter / time.Second)
	if seconds, err := strconv.Atoi(header.Get(name)); err == nil && seconds > most {
		header.Set(name, strconv.Itoa(most))
	}
}

// boundedBody ends with ErrAnswerTooLarge behind so many bytes: of the whole, or of what stands
// between two ends of a line, as events in JSON do.
type boundedBody struct {
	io.ReadCloser
	ctx       context.Context //nolint:containedctx // of the request, for the cause of its end
	end       func()
	left      int64
	byLine    bool
	unbounded bool
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		if cause := context.Cause(b.ctx); errors.Is(cause, errNoAnswer) {
			err = cause
		}
	}
	if b.unbounded {
		return n, err
	}
	if i := bytes.LastIndexByte(p[:n], '\n'); b.byLine && i >= 0 {
		b.left = maxEvent - int64(n-i-1)
	} else {
		b.left -= int64(n)
	}
	if b.left < 0 {
		return 0, ErrAnswerTooLarge
	}
	return n, err
}

func (b *boundedBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}
