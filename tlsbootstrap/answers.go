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
	// maxAnswer is the size, in bytes, of the largest answer of the API server that the node reads.
	// etcd takes no object above 1.5 MiB, so a page of 50 pods is smaller.
	maxAnswer = 96 << 20
	// maxEvent is the size, in bytes, of the largest event of a watch. client-go has the same bound
	// for an event in protobuf.
	maxEvent = 16 << 20
	// answerTime bounds a call whose context has no deadline: the time until the whole body is
	// read. For a watch it bounds the time until the watch begins. It is shorter than the time for
	// which a lease that is not renewed is valid.
	answerTime = 20 * time.Second
	// maxRetryAfter bounds how long one answer may make a call wait. client-go waits that long up
	// to ten times.
	maxRetryAfter = 10 * time.Second
)

// ErrAnswerTooLarge means that the API server sent more than a node reads.
var ErrAnswerTooLarge = errors.New("the API server sent more than is read at once")

var errNoAnswer = errors.New("the API server did not answer to the end in time")

// BoundAnswers bounds the answers that clients of a configuration read, in size and time. The
// bounds hold whatever the API server sends, or a proxy before it. Without them client-go reads an
// answer of any size, waits for an answer as long as the context allows, and sleeps as long as a
// Retry-After says.
func BoundAnswers(config *rest.Config) {
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return answers{inner, answerTime} })
}

type answers struct {
	inner  http.RoundTripper
	within time.Duration
}

// WrappedRoundTripper returns the transport below this one, for code that looks for its TLS
// settings.
func (a answers) WrappedRoundTripper() http.RoundTripper { return a.inner }

func (a answers) RoundTrip(req *http.Request) (*http.Response, error) {
	watch := isWatch(req)
	ctx, cancel := context.WithCancelCause(req.Context())
	end := func() { cancel(nil) }
	if _, bounded := ctx.Deadline(); watch || !bounded {
		timer := time.AfterFunc(a.within, func() { cancel(errNoAnswer) })
		end = func() { timer.Stop(); cancel(nil) }
		if watch { // a watch may go on for long
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
		body.unbounded = !body.byLine // client-go itself bounds an event in protobuf
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

// boundedBody fails with ErrAnswerTooLarge after a number of bytes. If byLine is set, the bound is
// for each line, because each event in JSON is a line.
type boundedBody struct {
	io.ReadCloser
	ctx       context.Context //nolint:containedctx // of the request; its cause says why the request ended
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
