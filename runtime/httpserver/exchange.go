package httpserver

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// exchange is a request and its answer. It is the handler's ResponseWriter.
type exchange struct {
	http.ResponseWriter
	server  *Server
	conn    *conn
	request *http.Request // as net/http has it
	start   time.Time
	body    *requestBody // nil if there is none
	two     bool         // HTTP/2
	head    bool         // HEAD: the answer has no body
	last    bool         // of its connection
	expects bool         // HTTP/1.1: the client waits for 100
	invited bool         // HTTP/2: 100 was sent
	status  int          // 0 until the answer begins
	sent    int64
	full    int   // bytes since the last flush, of HTTP/2
	failed  error // of a write
	cost    int   // the memory that it has taken
	upload  int   // the same, of its connection
	watch   watch // of writes, of HTTP/2
}

// serve is what net/http calls for each request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	own, _ := r.Context().Value(connKey{}).(*conn)
	x := exchange{
		ResponseWriter: w, server: s, conn: own, request: r, start: time.Now(),
		two: r.ProtoMajor == 2, head: r.Method == http.MethodHead,
	}
	active := s.active.Add(1)
	whole := false
	defer func() { x.finish(whole, recover()) }()
	if s.closed.Load() {
		panic(http.ErrAbortHandler)
	}
	if !x.two && own != nil {
		own.works() // net/http does not say it of a request that came with the one before
	}
	x.expects = r.Header["Expect"] != nil
	if status := s.check(r, own); status != 0 {
		x.refuse(status)
	} else if !x.charge(active) {
		x.refuse(http.StatusServiceUnavailable)
	} else {
		s.config.Handler.ServeHTTP(&x, x.withBody())
	}
	x.end()
	whole = true
}

// withBody returns the request that the handler gets. It is another one than net/http has if there
// is a body, as net/http has to see its own body in its own request.
func (x *exchange) withBody() *http.Request {
	if x.request.Body == http.NoBody || x.request.Body == nil || x.two && x.request.ContentLength == 0 {
		return x.request
	}
	if !x.two { // without it, net/http reads the body before it sends an answer
		_ = http.NewResponseController(x.ResponseWriter).EnableFullDuplex() // it can always
	}
	inner := new(http.Request)
	*inner = *x.request
	x.body = &requestBody{exchange: x, from: x.request.Body, inner: inner, left: x.server.settings.MaxBody}
	inner.Body = x.body
	return inner
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// closeValue is what Connection says before it closes.
var closeValue = []string{"close"}

// WriteHeader sends an informational answer, or begins the answer.
func (x *exchange) WriteHeader(status int) {
	switch {
	case x.status != 0:
		return
	case status >= 100 && status < 200 && status != http.StatusSwitchingProtocols:
		if x.two && x.body != nil && !x.invited { // net/http sends no 100 after another one
			x.invited = true
			x.ResponseWriter.WriteHeader(http.StatusContinue)
		}
		if x.request.ProtoAtLeast(1, 1) {
			x.ResponseWriter.WriteHeader(status)
		}
		return
	case status < 200 || status > 999: // no connection becomes another one
		status = http.StatusInternalServerError
	}
	x.status = status
	h := x.Header()
	delete(h, "Transfer-Encoding")
	for _, name := range hopByHop {
		delete(h, name)
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // net/http would guess one
	}
	if !x.two && (x.server.ending.Load() || x.server.full.Load() || x.last || x.body != nil && !x.body.whole()) {
		h["Connection"] = closeValue
	}
	x.ResponseWriter.WriteHeader(status)
}

// piece is how much of an answer of HTTP/2 a client must take within the stall time-out.
const piece = 16 << 10

// Write writes a part of the answer.
func (x *exchange) Write(p []byte) (written int, err error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.two && x.full+len(p) >= 4096 {
		written, err = x.writePieces(p)
	} else {
		written, err = x.ResponseWriter.Write(p)
		x.full += written
	}
	if !x.head {
		x.sent += int64(written)
	}
	if err != nil {
		x.failed = err
	}
	return written, err
}

// writePieces writes what may have to wait for the client. Below, a connection renews its deadline
// when bytes move; here they may wait for the window of one stream.
func (x *exchange) writePieces(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		x.watch.begin(x, true)
		var n int
		n, err = x.ResponseWriter.Write(p[written:min(len(p), written+piece)])
		written += n
		if x.watch.end() {
			err = ErrStalled
		}
	}
	x.full = 0
	return written, err
}

// FlushError sends what was written.
func (x *exchange) FlushError() error {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.two {
		x.watch.begin(x, true)
		x.full = 0
	}
	err := http.NewResponseController(x.ResponseWriter).Flush()
	if x.two && x.watch.end() {
		err = ErrStalled
	}
	if err != nil {
		x.failed = err
	}
	return err
}

// Flush is FlushError for those who do not look at the error, which Write has again.
func (x *exchange) Flush() { _ = x.FlushError() }

// refuse answers without the handler.
func (x *exchange) refuse(status int) {
	h := x.Header()
	if status == http.StatusMethodNotAllowed || status == http.StatusOK {
		h["Allow"] = []string{allowed}
	}
	if status == http.StatusServiceUnavailable {
		h["Retry-After"] = []string{"1"}
	}
	x.last = status != http.StatusOK
	if x.body == nil {
		x.expects = true // not to be read
		x.withBody()
	}
	text := ""
	if status != http.StatusOK {
		text = http.StatusText(status) + "\n"
		h["Content-Type"] = []string{"text/plain; charset=utf-8"}
	}
	x.WriteHeader(status)
	_, _ = x.Write([]byte(text)) // the client may have gone
}

// end completes the answer after the handler has returned.
func (x *exchange) end() {
	if x.status == 0 && x.body != nil {
		switch err := x.body.failed(); {
		case errors.Is(err, ErrBodyTooLarge):
			x.refuse(http.StatusRequestEntityTooLarge)
		case errors.Is(err, ErrStalled):
			x.refuse(http.StatusRequestTimeout)
		}
	}
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	x.dropBody(true)
	if x.two && x.sent > 0 { // net/http sends the last bytes, for which there may be no window
		stall := time.Now().Add(x.server.settings.StallTimeout)
		_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(stall) // it can always
	}
}

// dropBody makes net/http not wait for the rest of a body that was not read.
func (x *exchange) dropBody(linger bool) {
	if x.two || x.body == nil || x.body.eof.Load() {
		return
	}
	if x.conn != nil {
		x.conn.lingers.Store(linger)
	}
	InterruptRead(x.ResponseWriter)
}

// finish counts the request. It panics again if the handler did.
func (x *exchange) finish(whole bool, why any) {
	s, r := x.server, x.request
	if !whole {
		if err, ok := why.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			s.says.say(sayPanic)
		}
		x.dropBody(false)
		if !r.ProtoAtLeast(1, 1) && x.conn != nil {
			x.conn.reset() // the end of the connection would be that of the answer
		}
	}
	record := Record{
		Method: r.Method, Protocol: r.Proto, Client: r.RemoteAddr,
		Status: x.status, Sent: x.sent, Duration: time.Since(x.start),
		Aborted: !whole || x.failed != nil,
	}
	if x.body != nil {
		record.Received = x.body.received
	}
	s.count.add(&record)
	if s.config.Record != nil {
		record.Path, _, _ = strings.Cut(r.RequestURI, "?")
		s.config.Record(record)
	}
	x.free()
	if s.active.Add(-1) == 0 && s.closed.Load() {
		tell(s.idle)
	}
	if !whole {
		panic(http.ErrAbortHandler)
	}
}
