package handler

import (
	"errors"
	"io"
	nethttp "net/http"
	"slices"
	"strconv"

	"golang.org/x/net/http/httpguts"

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
	case s.head:
	case head != nil && failed == nil:
		s.sendHead(head)
	case failed != nil:
		s.head, s.written = true, true
		s.closeAfter(false)
		refuse(s.w, failed)
		return
	default:
		return
	}
	s.sendBody()
}

// inform sends an informational response.
func (s *session) inform(h *http.Head) {
	if s.head {
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
	s.head = true
	header := s.w.Header()
	put(header, h.Headers)
	s.closeAfter(s.answer.Ended())
	if _, ok := header["Content-Type"]; !ok {
		header["Content-Type"] = nil // so that net/http does not guess it
	}
	if _, ok := header["Content-Length"]; !ok && s.answer.Ended() && len(s.answer.Trailers()) == 0 && mayHaveBody(s.r.Method, h.Status) {
		header["Content-Length"] = []string{strconv.Itoa(s.answer.Len())}
	}
	status := h.Status
	if status < 200 || status > 999 { // net/http would panic, or wait for another one
		status = nethttp.StatusInternalServerError
	}
	s.bodiless = !mayHaveBody(s.r.Method, status)
	s.began.Store(true)
	s.w.WriteHeader(status)
}

// trailersOf are the fields that may come after a body. Those that say where a message ends, or who
// may have it, count at its beginning only: who joins trailers with headers would believe them.
func trailersOf(fields []http.Field) []http.Field {
	return slices.DeleteFunc(slices.Clone(fields), func(f http.Field) bool {
		return !httpguts.ValidTrailerHeader(nethttp.CanonicalHeaderKey(f.A))
	})
}

// closeAfter has the connection closed after the answer if the request's body may still be read
// while that is sent: what is then left of the body must not be taken for the next request.
// complete says that the answer is there, and the guest most likely wants no more.
func (s *session) closeAfter(complete bool) {
	if s.body == nil || s.r.ProtoMajor != 1 || s.reading.whole.Load() || complete && !s.reading.began() {
		return
	}
	s.w.Header().Set("Connection", "close")
}

func mayHaveBody(method string, status int) bool {
	return method != nethttp.MethodHead && status >= 200 && status != nethttp.StatusNoContent && status != nethttp.StatusNotModified
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
			for _, f := range trailersOf(s.answer.Trailers()) {
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
		s.flushed = true
		if err := s.control.Flush(); err != nil && !s.written {
			s.cutOff(errGone)
		}
		return
	}
}

// cutOff ends an answer that cannot be completed.
func (s *session) cutOff(why error) {
	s.written, s.failed = true, true
	s.answer.Close(why)
}
