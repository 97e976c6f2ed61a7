package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// signalled is the cause of a context that a signal cancelled.
type signalled struct{ signal syscall.Signal }

func (s *signalled) Error() string { return fmt.Sprintf("stopped by a signal (%v)", s.signal) }

// code is the exit code that a shell gives to a process which the signal killed.
func (s *signalled) code() int { return 128 + int(s.signal) }

// untilRunSignal returns a context that the first SIGINT, SIGTERM or SIGHUP cancels, with a *signalled as its
// cause. A second one calls exit at once, with the signal's code. The caller must call stop, which waits for
// the goroutine behind this and gives the signals their usual effect back.
func untilRunSignal(ctx context.Context, exit func(code int)) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	received := make(chan os.Signal, 4)
	// A guest whose output nobody reads gets EPIPE from its write, and decides for itself what that means.
	wanted := []os.Signal{syscall.SIGPIPE}
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		// nohup, and a shell that puts a job into the background, have signals ignored: that stays so.
		if !signal.Ignored(s) {
			wanted = append(wanted, s)
		}
	}
	signal.Notify(received, wanted...)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case s := <-received:
				sig, ok := s.(syscall.Signal)
				if !ok || sig == syscall.SIGPIPE {
					continue
				}
				if ctx.Err() != nil {
					exit((&signalled{sig}).code())
					return
				}
				cancel(&signalled{sig})
			}
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		close(quit)
		<-done
		cancel(nil)
	}
}
