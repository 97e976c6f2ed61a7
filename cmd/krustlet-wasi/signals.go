package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// signalled is the cause of a context that a signal cancelled.
type signalled struct{ signal syscall.Signal }

func (s *signalled) Error() string { return fmt.Sprintf("stopped by a signal (%v)", s.signal) }

// code is the exit code that a shell gives to a process which the signal killed.
func (s *signalled) code() int { return 128 + int(s.signal) }

// untilSignal is the agent's: the first SIGINT or SIGTERM cancels the context.
func untilSignal(ctx context.Context, log *zap.Logger, exit func(code int)) (_ context.Context, stop func()) {
	return untilFirst(ctx, []os.Signal{os.Interrupt, syscall.SIGTERM}, func(s *signalled) {
		log.Info("stopping; a second signal ends the process at once", zap.Stringer("signal", s.signal))
	}, exit)
}

// untilRunSignal is that of `run`, where SIGHUP counts too.
func untilRunSignal(ctx context.Context, exit func(code int)) (_ context.Context, stop func()) {
	var wanted []os.Signal
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		// nohup, and a shell that puts a job into the background, have signals ignored: that stays so.
		if !signal.Ignored(s) {
			wanted = append(wanted, s)
		}
	}
	return untilFirst(ctx, wanted, func(*signalled) {}, exit)
}

// untilFirst returns a context that the first of the signals cancels, with a *signalled as its cause, after first was
// called with it. A second one calls exit at once, with the signal's code. The caller must call stop, which waits for the goroutine
// behind this and gives the signals their usual effect back.
//
// SIGPIPE does nothing meanwhile: a broken pipe behind standard output or error would kill an agent, and the node with it;
// a guest whose output nobody reads gets EPIPE from its write. Ignoring the signal would be handed down to children.
func untilFirst(ctx context.Context, wanted []os.Signal, first func(*signalled), exit func(code int)) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	received := make(chan os.Signal, 4)
	signal.Notify(received, append(wanted, syscall.SIGPIPE)...)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		stopping := false
		for {
			select {
			case <-quit:
				return
			case s := <-received:
				sig, ok := s.(syscall.Signal)
				if !ok || sig == syscall.SIGPIPE {
					continue
				}
				by := &signalled{sig}
				if stopping {
					exit(by.code())
					return
				}
				stopping = true
				first(by)
				cancel(by)
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
