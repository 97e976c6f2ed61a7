package kubeletapi

import (
	"bufio"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"go.uber.org/zap"
)

// response notes the code and the size of an answer. It unwraps for http.ResponseController.
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

// Flush sends what is buffered, with the header.
func (r *response) Flush() {
	_ = r.FlushError()
}

// FlushError is Flush in the form that http.ResponseController needs.
func (r *response) FlushError() error {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return http.NewResponseController(r.ResponseWriter).Flush()
}

// Hijack hands the connection to another protocol.
func (r *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil && r.code == 0 {
		r.code = http.StatusSwitchingProtocols
	}
	return conn, buffered, err
}

func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// logged writes the access log, at debug level. It answers a panic with 500. If the answer has
// begun, it cuts the connection off, so that the client does not think that the answer is complete.
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
