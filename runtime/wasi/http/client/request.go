package client

import (
	"context"
	"errors"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
)

// Request is a request of a guest. The Client owns it from Do on.
type Request struct {
	Method    string
	Scheme    string // http or https
	Authority string // a host, and maybe a port
	Path      string // with the query
	Header    nethttp.Header
	// Body is nil if there is none. Its Read may wait, and must end when Close is called, which any
	// goroutine may do, also after Do.
	Body io.ReadCloser
	// Length is the number of bytes of the Body, or -1.
	Length int64
	// Trailer is filled before Body returns io.EOF. It may have names from the start, which are
	// announced.
	Trailer nethttp.Header
	Timeouts
}

// Response is what the server answered. Read of the Body returns an *Error, or io.EOF.
type Response struct {
	Status int
	Header nethttp.Header
	Body   io.ReadCloser
	// Trailer is filled when Body has returned io.EOF.
	Trailer *nethttp.Header
}

// url is the request's URL. net/http sends Opaque as it is.
func (r *Request) url() (*url.URL, error) {
	u := &url.URL{Scheme: r.Scheme, Host: r.Authority}
	path := escape(r.Path)
	switch {
	case path == "" || path[0] == '?':
		path = "/" + path
	case path == "*" && r.Method == nethttp.MethodOptions:
	case path[0] != '/':
		return nil, &Error{Code: RequestURIInvalid}
	}
	if strings.ContainsAny(r.Authority, "@/?#") || u.Hostname() == "" {
		return nil, &Error{Code: RequestURIInvalid}
	}
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
		return u, nil
	}
	// That would be the authority of an Opaque. As a path it has to be one that is not changed.
	parsed, err := url.ParseRequestURI("/" + strings.TrimLeft(path, "/"))
	if err != nil {
		return nil, &Error{Code: RequestURIInvalid, Err: err}
	}
	slashes := path[:len(path)-len(strings.TrimLeft(path, "/"))-1]
	u.Path, u.RawPath = slashes+parsed.Path, slashes+parsed.EscapedPath()
	u.RawQuery, u.ForceQuery = parsed.RawQuery, parsed.ForceQuery
	return u, nil
}

// escape escapes bytes beyond ASCII, which no server has to take.
func escape(path string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c < 0x80 {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// Do sends a request, and waits for the head of its response. The request is under way until the
// response's Body is closed. ctx must not end before that; its end closes all. The error is an
// *Error, and then the request's Body is closed, soon.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	release, err := c.admit()
	if err != nil {
		closeBody(r.Body)
		return nil, err
	}
	f := &flight{of: c, release: release, patience: &patience{Timeouts: r.orDefault()}}
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, patienceKey{}, f.patience))
	f.ctx, f.patience.cancel = ctx, cancel
	f.detach = context.AfterFunc(c.ctx, func() { cancel(errClosed) })
	response, err := f.do(r)
	if err == nil && !c.note(f) {
		closeBody(response.Body)
		err = &Error{Code: ConnectionTerminated, Err: errClosed}
	}
	if err != nil {
		f.end()
		return nil, err
	}
	return response, nil
}

// note notes that a request has its response. It returns false after Close.
func (c *Client) note(f *flight) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.answered[f] = struct{}{}
	return true
}

func closeBody(b io.Closer) {
	if b != nil {
		_ = b.Close() // it has no error that someone wants
	}
}

// flight is a request that is under way.
type flight struct {
	of       *Client
	ctx      context.Context //nolint:containedctx // of the request, which Body's methods go on with
	patience *patience
	release  func()
	detach   func() bool
}

func (f *flight) end() {
	f.of.mu.Lock()
	delete(f.of.answered, f)
	f.of.mu.Unlock()
	f.patience.stop()
	f.detach()
	f.patience.cancel(errDone)
	f.release()
}

// maxAttempts is how many connections a request is sent on. net/http tries another one if the
// server has closed one that was kept, or says by HTTP/2 that it has not looked at the request. It
// would try for as long as a server says so.
const maxAttempts = 4

var (
	errDone     = errors.New("the request is over")
	errAttempts = errors.New("the server ends each connection without an answer")
)

func (f *flight) do(r *Request) (*Response, error) {
	u, err := r.url()
	if err == nil && r.Method == nethttp.MethodConnect {
		err = &Error{Code: RequestMethodInvalid} // it makes a tunnel, which no guest can use
	}
	if err != nil {
		closeBody(r.Body)
		return nil, err
	}
	p, attempts := f.patience, 0
	trace := &httptrace.ClientTrace{
		GetConn: func(string) {
			if attempts++; attempts > maxAttempts {
				p.cancel(&Error{Code: ConnectionTerminated, Err: errAttempts})
				return
			}
			p.start(p.Connect, ConnectionTimeout)
		},
		GotConn: func(got httptrace.GotConnInfo) {
			p.sends(ConnectionWriteTimeout)
			f.watch(got.Conn, r.Body)
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				p.sends(ConnectionReadTimeout)
			}
		},
	}
	request := (&nethttp.Request{
		Method: r.Method, URL: u, Host: r.Authority, Header: r.Header, ContentLength: r.Length, Trailer: r.Trailer,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(httptrace.WithClientTrace(f.ctx, trace))
	if r.Body != nil {
		request.Body = &upload{r.Body, p}
	}
	if !hasUserAgent(r.Header) {
		request.Header["User-Agent"] = nil // otherwise net/http has one of its own
	}
	got, err := f.of.transport.RoundTrip(request) //nolint:bodyclose // who gets the Response closes it
	if err != nil {
		return nil, failed(f.ctx, err, false)
	}
	p.answers()
	if got.StatusCode == nethttp.StatusSwitchingProtocols {
		closeBody(got.Body)
		return nil, &Error{Code: UpgradeFailed}
	}
	return &Response{Status: got.StatusCode, Header: got.Header, Body: &download{f, got.Body}, Trailer: &got.Trailer}, nil
}

// watch closes the request's body when the connection is lost, or the request is over. net/http
// waits for a Read of the body before it says so, and the guest may wait for the response before it
// sends more.
func (f *flight) watch(c net.Conn, body io.Closer) {
	k := within(c)
	if k == nil || body == nil {
		return
	}
	done, ok := f.of.begin()
	if !ok {
		return
	}
	go func() {
		defer done()
		select {
		case <-k.lost:
		case <-f.ctx.Done():
		}
		closeBody(body)
	}()
}

func hasUserAgent(h nethttp.Header) bool {
	_, ok := h["User-Agent"]
	return ok
}

// upload is the body of a request as net/http reads it.
type upload struct {
	io.ReadCloser
	patience *patience
}

// Read implements io.Reader. The time of the server does not run while the guest has nothing to
// send.
func (u *upload) Read(p []byte) (int, error) {
	u.patience.pauses()
	n, err := u.ReadCloser.Read(p)
	u.patience.sends(ConnectionWriteTimeout)
	return n, err
}

// download is the body of a response.
type download struct {
	of   *flight
	body io.ReadCloser
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	patience := d.of.patience
	patience.start(patience.BetweenBytes, ConnectionReadTimeout)
	n, err := d.body.Read(p)
	patience.stop()
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, failed(d.of.ctx, err, true)
}

// Close implements io.Closer.
func (d *download) Close() error {
	d.of.patience.cancel(errDone) // a body of HTTP/1 that is closed before its end would be read on
	err := d.body.Close()
	d.of.end()
	return err
}
