package kubeletapi

import (
	"bufio"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

// response notes what was answered. It unwraps for http.ResponseController.
type response struct {
	http.ResponseWriter
	code  int // 0 until the header is sent
	bytes int64
}

func (r *response) WriteHeader(code int) {
	if r.code == 0 && (code >= 200 || code == http.StatusSwitchingProtocols) {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *response) Write(p []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}

// Flush sends what is buffered, the header included.
func (r *response) Flush() {
	_ = r.FlushError()
}

// FlushError is Flush as http.ResponseController wants it.
func (r *response) FlushError() error {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// Hijack gives the connection up, to another protocol.
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil && r.code == 0 {
		r.code = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// logged writes the access log, at debug level, and turns a panic into an answer
// of 500, or cuts the connection off if the answer has begun, so that the client
// does not take it for complete.
func logged(log *zap.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		answer := &response{ResponseWriter: w}
		defer func() {
			crash := recover()
			aborted := crash == http.ErrAbortHandler //nolint:errorlint // panic values are compared, not unwrapped
			if crash != nil && !aborted {
				log.Error("panic while serving a request", zap.String("method", r.Method),
					zap.String("path", r.URL.Path), zap.Any("panic", crash), zap.ByteString("stack", debug.Stack()))
				if answer.code == 0 {
					http.Error(answer, "Internal Server Error", http.StatusInternalServerError)
				} else {
					aborted = true
				}
			}
			log.Debug("served", zap.String("method", r.Method), zap.String("path", r.URL.Path),
				zap.String("client", r.RemoteAddr), zap.String("protocol", r.Proto), zap.Int("code", answer.code),
				zap.Int64("bytes", answer.bytes), zap.Duration("took", time.Since(began)), zap.Bool("aborted", aborted))
			if aborted {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(answer, r)
	})
}
