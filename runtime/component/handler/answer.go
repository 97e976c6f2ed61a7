package handler

import (
	"errors"
	"io"
	nethttp "net/http"
	"strconv"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/http"
)

// send sends what there is of the answer. It waits for the client only while that takes nothing.
func (s *session) send() {
	s.changed.Store(false)
	if s.written {
		return
	}
	if s.gone.Load() {
		s.cutOff(errGone)
		return
	}
	inform, head, failed := s.exchange.Next()
	for i := range inform {
		s.inform(&inform[i])
	}
	switch {
	case s.head.Load():
	case head != nil && failed == nil:
		s.sendHead(head)
	case failed != nil:
		s.written = true
		s.complain(failed)
		refuse(s.w, failed)
		return
	default:
		return
	}
	s.sendBody()
}

// inform sends an informational response.
func (s *session) inform(h *http.Head) {
	if s.head.Load() {
		return
	}
	header := s.w.Header()
	put(header, h.Headers)
	s.w.WriteHeader(h.Status)
	clear(header)
}

func put(to nethttp.Header, fields []http.Field) {
	for _, f := range fields {
		name := nethttp.CanonicalHeaderKey(f.A)
		if name == "Content-Length" && to[name] != nil {
			continue // two lengths would be an answer that others read in another way
		}
		to[name] = append(to[name], string(f.B))
	}
}

// sendHead sends the status and the headers: with the length of the body if all of that is there.
func (s *session) sendHead(h *http.Head) {
	header := s.w.Header()
	put(header, h.Headers)
	s.bodiless = !mayHaveBody(s.r.Method, h.Status)
	if _, ok := header["Content-Length"]; !ok && !s.bodiless && s.answer.Ended() && len(s.answer.Trailers()) == 0 {
		header["Content-Length"] = []string{strconv.Itoa(s.answer.Len())}
	}
	s.head.Store(true)
	s.w.WriteHeader(h.Status)
}

func mayHaveBody(method string, status int) bool {
	return method != nethttp.MethodHead && status != nethttp.StatusNoContent && status != nethttp.StatusNotModified
}

// sendBody sends what there is of the body.
func (s *session) sendBody() {
	for {
		b, err := s.answer.Bytes()
		switch {
		case err == nil:
			if !s.bodiless {
				if _, err := s.w.Write(b); err != nil {
					s.cutOff(errGone)
					return
				}
			}
			s.answer.Discard(len(b))
			continue
		case errors.Is(err, io.EOF):
			for _, f := range http.TrailersOf(s.answer.Trailers()) {
				s.w.Header().Add(nethttp.TrailerPrefix+f.A, string(f.B))
			}
			s.written = true
		case wasi.ErrorOf(err) == wasi.ErrWouldBlock:
			defer s.answer.OnBytes(s.tell)
		default:
			s.cutOff(err)
			return
		}
		if s.bodiless && (s.flushed || s.written && s.r.Method == nethttp.MethodHead) {
			return // over HTTP/2 the answer ends with its head, and more of it is an error
		}
		if s.isHeadOnly() {
			return
		}
		s.flushed = true
		if err := s.control.Flush(); err != nil && !s.written {
			s.cutOff(errGone)
		}
		return
	}
}

// isHeadOnly reports whether the answer is a status of gRPC without messages. Over HTTP/2 clients
// want it as one frame that ends the stream, and net/http sends that when ServeHTTP returns. So the
// client waits until the guest's function has ended, which for other answers it does not.
func (s *session) isHeadOnly() bool {
	return s.written && !s.flushed && s.r.ProtoMajor == 2 && s.w.Header()["Grpc-Status"] != nil && len(s.answer.Trailers()) == 0
}

// cutOff ends an answer that cannot be completed.
func (s *session) cutOff(why error) {
	s.written, s.failed = true, true
	s.answer.Close(why)
	s.complain(why)
}

// complain tells the owner of the pool what is wrong with an answer of a guest that goes on. What
// is wrong with the instance, or the client, is told elsewhere or no fault.
func (s *session) complain(why error) {
	var code http.CodeError
	var size *http.SizeError
	if errors.As(why, &code) || errors.As(why, &size) || errors.Is(why, http.ErrNoResponse) || errors.Is(why, http.ErrIncomplete) ||
		errors.Is(why, http.ErrLength) || errors.Is(why, http.ErrStatus) {
		s.pool.cfg.Failed(s.member.number, why)
	}
}
