package preview1

import (
	"bytes"
	"context"
	"errors"
	"io"
	nethttp "net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http/client"
)

// ExperimentalHTTP is the module name of the functions for HTTP requests that Krustlet had, version
// 0.10. They have numbers of errors of their own.
const ExperimentalHTTP = "wasi_experimental_http"

// Errors of ExperimentalHTTP.
const (
	httpInvalidHandle Errno = 1 + iota
	httpMemoryNotFound
	httpMemoryAccess
	httpBufferTooSmall
	httpHeaderNotFound
	httpUTF8
	httpNotAllowed
	httpInvalidMethod
	httpInvalidEncoding
	httpInvalidURL
	httpRequest
	httpRuntime
	httpTooManySessions
)

// experimental is the table of ExperimentalHTTP.
var experimental = []Function{
	experimentalFunction("req", 10, httpReq),
	experimentalFunction("close", 1, httpClose),
	experimentalFunction("header_get", 6, httpHeaderGet),
	experimentalFunction("headers_get_all", 4, httpHeadersGetAll),
	experimentalFunction("body_read", 4, httpBodyRead),
}

// experimentalFunction makes a row of the table. The error of run is one of the numbers above, or
// ends the guest.
func experimentalFunction(name string, params int, run call) Function {
	f := Function{Module: ExperimentalHTTP, Name: name, Import: name, Params: make([]Kind, params)}
	f.Call = func(ctx context.Context, g *Guest, mem []byte, args []uint64) (Errno, error) {
		err := run(ctx, g, mem, args)
		var number Errno
		switch {
		case err == nil:
			return ErrnoSuccess, nil
		case errors.As(err, &number):
			return number, nil
		}
		return 0, err
	}
	return f
}

// sessions are the responses that the guest has not closed.
type sessions struct {
	client *client.Client // nil if the guest can send no request
	open   map[uint32]*session
	next   uint32
}

type session struct {
	of   *client.Response
	held int // bytes of the request's body, which may be sent as long as there is a response
}

// SendBy has the guest's requests sent. Without it none is allowed. It is called before the guest
// runs.
func (g *Guest) SendBy(c *client.Client) { g.sessions.client = c }

// close closes all responses.
func (s *sessions) close() {
	for handle := range s.open {
		s.end(handle)
	}
}

func (s *sessions) end(handle uint32) {
	if of := s.open[handle]; of != nil {
		_ = of.of.Body.Close() // it has no error that the guest can hear
		s.give(of.held)
		delete(s.open, handle)
	}
}

func (s *sessions) give(n int) {
	if m := s.client.Memory(); m != nil {
		m.Give(n)
	}
}

// text is a text of the guest.
func (m memory) text(ptr, n uint32) (string, error) {
	b, err := m.bytes(ptr, n)
	if err != nil {
		return "", httpBufferTooSmall // as Krustlet had it
	}
	if !utf8.Valid(b) {
		return "", httpUTF8
	}
	return string(b), nil
}

// writable returns a range that is written.
func (m memory) writable(ptr, n uint32) ([]byte, error) {
	b, err := m.bytes(ptr, n)
	if err != nil {
		return nil, httpMemoryAccess
	}
	return b, nil
}

// httpReq sends a request: URL, method, headers and body, then where the status (16 bits) and the
// handle of the response are written.
func httpReq(ctx context.Context, g *Guest, m memory, a arguments) error {
	s := &g.sessions
	if s.client == nil {
		return httpNotAllowed
	}
	status, err := m.writable(a.u32(8), 2)
	if err != nil {
		return err
	}
	if _, err := m.writable(a.u32(9), 4); err != nil {
		return err
	}
	r, err := readRequest(m, a)
	if err != nil {
		return err
	}
	body, err := m.bytes(a.u32(6), a.u32(7))
	if err != nil {
		return httpBufferTooSmall
	}
	if held := s.client.Memory(); held != nil && !held.Take(len(body)) {
		return httpRuntime
	}
	r.body = bytes.Clone(body) // the server may take it after the head of its response
	response, err := s.follow(ctx, r)
	if err != nil {
		s.give(len(body))
		return httpError(err)
	}
	if s.open == nil {
		s.open = map[uint32]*session{}
	}
	for s.open[s.next] != nil {
		s.next++
	}
	s.open[s.next] = &session{of: response, held: len(body)}
	status[0], status[1] = byte(response.Status), byte(response.Status>>8)
	return m.putU32(a.u32(9), s.next)
}

// httpError is the number of an error of a request.
func httpError(err error) error {
	var e *client.Error
	if errors.Is(err, context.Canceled) || errors.Is(err, wasi.ErrKilled) {
		return wasi.ErrKilled
	}
	if !errors.As(err, &e) {
		return httpRequest
	}
	switch e.Code {
	case client.RequestDenied, client.DestinationIPProhibited:
		return httpNotAllowed
	case client.RequestURIInvalid:
		return httpInvalidURL
	case client.RequestMethodInvalid:
		return httpInvalidMethod
	case client.ConnectionLimitReached:
		return httpTooManySessions
	}
	return httpRequest
}

// simple is a request with a body that is in memory.
type simple struct {
	url    *url.URL
	method string
	header nethttp.Header
	body   []byte
}

// maxTexts bounds the URL and the headers of a request together.
const maxTexts = 128 << 10

// readRequest reads a request but for its body.
func readRequest(m memory, a arguments) (*simple, error) {
	if uint64(a.u32(1))+uint64(a.u32(3))+uint64(a.u32(5)) > maxTexts {
		return nil, httpBufferTooSmall
	}
	var texts [3]string
	for i := range texts {
		var err error
		if texts[i], err = m.text(a.u32(2*i), a.u32(2*i+1)); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(texts[0])
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, httpInvalidURL
	}
	if !httpguts.ValidHeaderFieldName(texts[1]) {
		return nil, httpInvalidMethod
	}
	header, err := readHeader(texts[2])
	if err != nil {
		return nil, err
	}
	return &simple{url: u, method: texts[1], header: header}, nil
}

// connectionFields belong to a connection, or frame a message: they are the host's.
var connectionFields = []string{
	"Connection", "Content-Length", "Host", "Http2-Settings", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection",
	"Transfer-Encoding", "Trailer", "Upgrade",
}

// readHeader reads lines `name:value`. Of a name that comes twice, the last value counts.
func readHeader(text string) (nethttp.Header, error) {
	header := nethttp.Header{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimSpace(value)
		if !ok || !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return nil, httpInvalidEncoding
		}
		if name = nethttp.CanonicalHeaderKey(name); !slices.Contains(connectionFields, name) {
			header[name] = []string{value}
		}
	}
	return header, nil
}

// maxRedirects is how many redirects are followed, as Krustlet did.
const maxRedirects = 10

// follow sends a request, and follows redirects: guests of this interface do not do it themselves.
// Each target is one that the guest must be allowed to connect to.
func (s *sessions) follow(ctx context.Context, r *simple) (*client.Response, error) {
	for redirects := 0; ; redirects++ {
		response, err := s.send(ctx, r)
		if err != nil {
			return nil, err
		}
		to, ok := r.redirected(response)
		if !ok {
			return response, nil
		}
		_ = response.Body.Close() // it is not wanted
		if redirects == maxRedirects {
			return nil, &client.Error{Code: client.LoopDetected}
		}
		r.redirect(to, response.Status)
	}
}

func (s *sessions) send(ctx context.Context, r *simple) (*client.Response, error) {
	path := r.url.EscapedPath()
	if r.url.RawQuery != "" || r.url.ForceQuery {
		path += "?" + r.url.RawQuery
	}
	request := &client.Request{
		Method: r.method, Scheme: r.url.Scheme, Authority: r.url.Host, Path: path, Header: r.header.Clone(), Length: int64(len(r.body)),
	}
	if len(r.body) > 0 {
		request.Body = io.NopCloser(bytes.NewReader(r.body))
	}
	return s.client.Do(ctx, request)
}

// redirected is where a response sends the request, if it does.
func (r *simple) redirected(response *client.Response) (*url.URL, bool) {
	switch response.Status {
	case nethttp.StatusMovedPermanently, nethttp.StatusFound, nethttp.StatusSeeOther, nethttp.StatusTemporaryRedirect,
		nethttp.StatusPermanentRedirect:
	default:
		return nil, false
	}
	to, err := r.url.Parse(response.Header.Get("Location"))
	if err != nil || response.Header.Get("Location") == "" || to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "" {
		return nil, false
	}
	return to, true
}

// redirect makes it the request after a redirect. Another host gets no credentials.
func (r *simple) redirect(to *url.URL, status int) {
	if status != nethttp.StatusTemporaryRedirect && status != nethttp.StatusPermanentRedirect {
		if r.method != nethttp.MethodHead {
			r.method = nethttp.MethodGet
		}
		r.body = r.body[:0]
		r.header.Del("Content-Type")
		r.header.Del("Content-Encoding")
	}
	if to.Host != r.url.Host || to.Scheme != r.url.Scheme {
		r.header.Del("Authorization")
		r.header.Del("Cookie")
		r.header.Del("Cookie2")
		r.header.Del("Www-Authenticate")
	}
	to.User = nil
	r.url = to
}

// httpClose closes a response. It does no harm to close it twice.
func httpClose(_ context.Context, g *Guest, _ memory, a arguments) error {
	g.sessions.end(a.u32(0))
	return nil
}

func (g *Guest) session(a arguments) (*session, error) {
	if s := g.sessions.open[a.u32(0)]; s != nil {
		return s, nil
	}
	return nil, httpInvalidHandle
}

// put writes a text and its length.
func (m memory) put(text string, ptr, room, told uint32) error {
	if uint64(len(text)) > uint64(room) {
		return httpBufferTooSmall
	}
	b, err := m.writable(ptr, uint32(len(text)))
	if err != nil {
		return err
	}
	if _, err := m.writable(told, 4); err != nil {
		return err
	}
	copy(b, text)
	return m.putU32(told, uint32(len(text)))
}

// httpHeaderGet writes the first value of a header of the response.
func httpHeaderGet(_ context.Context, g *Guest, m memory, a arguments) error {
	s, err := g.session(a)
	if err != nil {
		return err
	}
	if a.u32(2) > maxTexts {
		return httpHeaderNotFound
	}
	name, err := m.text(a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	values := s.of.Header.Values(name)
	if len(values) == 0 {
		return httpHeaderNotFound
	}
	return m.put(values[0], a.u32(3), a.u32(4), a.u32(5))
}

// httpHeadersGetAll writes lines `name:value`.
func httpHeadersGetAll(_ context.Context, g *Guest, m memory, a arguments) error {
	s, err := g.session(a)
	if err != nil {
		return err
	}
	var all strings.Builder
	for name, values := range s.of.Header {
		for _, v := range values {
			if !utf8.ValidString(v) {
				return httpRuntime
			}
			all.WriteString(strings.ToLower(name) + ":" + v + "\n")
		}
	}
	return m.put(all.String(), a.u32(1), a.u32(2), a.u32(3))
}

// httpBodyRead reads some of the response's body, and writes how many bytes it is: 0 at the end.
func httpBodyRead(_ context.Context, g *Guest, m memory, a arguments) error {
	s, err := g.session(a)
	if err != nil {
		return err
	}
	b, err := m.writable(a.u32(1), a.u32(2))
	if err != nil {
		return err
	}
	if _, err := m.writable(a.u32(3), 4); err != nil {
		return err
	}
	n := 0
	for n == 0 && err == nil && len(b) > 0 {
		n, err = s.of.Body.Read(b)
	}
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		return httpError(err)
	}
	return m.putU32(a.u32(3), uint32(n))
}
