package exit

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Signalled is the cause of a context that a signal cancelled.
type Signalled struct{ Signal syscall.Signal }

func (s *Signalled) Error() string { return fmt.Sprintf("stopped by a signal (%v)", s.Signal) }

// Code is the exit code of a process that the signal killed, as a shell reports it.
func (s *Signalled) Code() int { return 128 + int(s.Signal) }

// UntilSignal is for the agent. The first SIGINT or SIGTERM calls first, and cancels the context.
// The second one calls exit. The caller must call stop.
func UntilSignal(ctx context.Context, first func(*Signalled), exit func(code int)) (_ context.Context, stop func()) {
	return untilFirst(ctx, []os.Signal{os.Interrupt, syscall.SIGTERM}, first, exit)
}

// UntilSignalOrHangup is for programs that a person runs on a terminal: SIGHUP also stops them.
func UntilSignalOrHangup(ctx context.Context, exit func(code int)) (_ context.Context, stop func()) {
	var wanted []os.Signal
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		// nohup, and a shell that starts a job in the background, make the process ignore signals.
		// Such signals stay ignored.
		if !signal.Ignored(s) {
			wanted = append(wanted, s)
		}
	}
	return untilFirst(ctx, wanted, func(*Signalled) {}, exit)
}

// untilFirst returns a context. The first of the signals calls first, and then cancels the context
// with a *Signalled as its cause. A second signal calls exit at once, with the signal's code. The
// caller must call stop. stop waits for the goroutine that receives the signals, and restores the
// usual effect of the signals.
//
// Until stop, SIGPIPE has no effect. Otherwise a broken pipe at standard output or error would kill
// the agent, and the node with it. A guest whose output has no reader gets EPIPE from its write.
// SIGPIPE is caught, not ignored, because children would inherit an ignored signal.
func untilFirst(ctx context.Context, wanted []os.Signal, first func(*Signalled), exit func(code int)) (_ context.Context, stop func()) {
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
				by := &Signalled{sig}
				if stopping {
					exit(by.Code())
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
