package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
)

// untilSignal returns a context that the first SIGINT or SIGTERM cancels. A second one ends the process at
// once, with the code that a shell gives to a process which a signal killed. The caller must call stop, which
// waits for the goroutine behind this and gives the signals their usual effect back.
func untilSignal(ctx context.Context, log *zap.Logger, exit func(code int)) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	received := make(chan os.Signal, 4)
	// A broken pipe behind standard output or error would kill the agent, and the node with it; once it is
	// asked for, the signal does nothing and the write fails. Ignoring it would be handed down to children.
	signal.Notify(received, os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
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
				if stopping {
					exit(128 + int(sig))
					return
				}
				stopping = true
				log.Info("stopping; a second signal ends the process at once", zap.Stringer("signal", sig))
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		close(quit)
		<-done
		cancel()
	}
}
