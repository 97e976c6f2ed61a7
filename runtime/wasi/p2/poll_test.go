package p2

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
	"github.com/krustlet-go/krustlet-wasi/runtime/wasi/p2/bindings"
)

// after returns a pollable of a time from now.
func (c *caller) after(d time.Duration) bindings.Pollable {
	c.t.Helper()
	return must[bindings.Pollable](c.t)(c.b.MonotonicClock.SubscribeDuration(c.ctx, uint64(d)))
}

// TestTimers waits for durations and instants.
func TestTimers(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	now := must[uint64](t)(c.b.MonotonicClock.Now(c.ctx))
	past := must[bindings.Pollable](t)(c.b.MonotonicClock.SubscribeInstant(c.ctx, 0))
	soon := must[bindings.Pollable](t)(c.b.MonotonicClock.SubscribeInstant(c.ctx, now+uint64(20*time.Millisecond)))
	never := must[bindings.Pollable](t)(c.b.MonotonicClock.SubscribeDuration(c.ctx, math.MaxUint64))
	far := must[bindings.Pollable](t)(c.b.MonotonicClock.SubscribeInstant(c.ctx, math.MaxUint64))
	if ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{never, past, far})); !slices.Equal(ready, []uint32{1}) {
		t.Errorf("ready are %v, want the past", ready)
	}
	if ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{never, far, soon})); !slices.Equal(ready, []uint32{2}) {
		t.Errorf("ready are %v, want the soonest", ready)
	}
	if later := must[uint64](t)(c.b.MonotonicClock.Now(c.ctx)); later < now+uint64(20*time.Millisecond) {
		t.Errorf("the poll ended after %d ns, want 20 ms", later-now)
	}
	for _, p := range []bindings.Pollable{past, soon} {
		if ready, err := p.Ready(c.ctx); !ready || err != nil {
			t.Errorf("ready: %v, %v", ready, err)
		}
		c.want("block", p.Block(c.ctx), nil)
	}
	if ready, err := never.Ready(c.ctx); ready || err != nil {
		t.Errorf("ready: %v, %v", ready, err)
	}
	c.want("block", c.after(time.Millisecond).Block(c.ctx), nil)
}

// TestPollOfTimerAndInput waits for whichever comes first.
func TestPollOfTimerAndInput(t *testing.T) {
	r, w := pipe(t)
	c := newCaller(t, wasi.Config{Stdin: r})
	in := must[bindings.InputStream](t)(c.b.Stdin.GetStdin(c.ctx))
	input := must[bindings.Pollable](t)(in.Subscribe(c.ctx))
	if ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{input, c.after(time.Millisecond)})); !slices.Equal(ready, []uint32{1}) {
		t.Errorf("ready are %v, want the timer", ready)
	}
	go func() { _, _ = w.Write([]byte("x")) }()
	if ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, []bindings.Pollable{input, c.after(time.Hour)})); !slices.Equal(ready, []uint32{0}) {
		t.Errorf("ready are %v, want the input", ready)
	}
	in.Drop()
	c.want("block after the stream was dropped", input.Block(c.ctx), nil)
}

// TestListsOfPolls has lists that are too short and too long.
func TestListsOfPolls(t *testing.T) {
	c := newCaller(t, wasi.Config{})
	_, err := c.b.Poll.Poll(c.ctx, nil)
	c.want("poll of nothing", err, errNoPollables)
	p := c.after(0)
	list := slices.Repeat([]bindings.Pollable{p}, maxPoll)
	if ready := must[[]uint32](t)(c.b.Poll.Poll(c.ctx, list)); len(ready) != maxPoll {
		t.Errorf("%d are ready, want %d", len(ready), maxPoll)
	}
	if cap(c.h.interests) > keptInterests || cap(c.h.ready) > keptInterests {
		t.Errorf("the host keeps %d interests", cap(c.h.interests))
	}
	_, err = c.b.Poll.Poll(c.ctx, append(list, p))
	c.want("poll of too many", err, errManyPollables)
	p.Drop()
	count := 0
	for range 100_000 {
		if _, err = c.b.MonotonicClock.SubscribeDuration(c.ctx, 0); err != nil {
			break
		}
		count++
	}
	if err == nil || wasi.ErrorOf(err) != wasi.ErrIO || count != bounds[pollables].most {
		t.Errorf("the guest holds %d pollables, %v, want %d", count, err, bounds[pollables].most)
	}
}

// TestKill ends calls that block.
func TestKill(t *testing.T) {
	for _, test := range []struct {
		name string
		call func(c *caller, in bindings.InputStream) error
	}{
		{"block", func(c *caller, _ bindings.InputStream) error { return c.after(time.Hour).Block(c.ctx) }},
		{"poll", func(c *caller, in bindings.InputStream) error {
			p := must[bindings.Pollable](c.t)(in.Subscribe(c.ctx))
			_, err := c.b.Poll.Poll(c.ctx, []bindings.Pollable{p, c.after(time.Hour)})
			return err
		}},
		{"blocking-read", func(c *caller, in bindings.InputStream) error {
			_, err := in.BlockingRead(c.ctx, 1)
			return err
		}},
		{"blocking-splice", func(c *caller, in bindings.InputStream) error {
			o := must[bindings.OutputStream](c.t)(c.b.Stdout.GetStdout(c.ctx))
			_, err := o.BlockingSplice(c.ctx, in, 1)
			return err
		}},
		{"a write above the rate", func(c *caller, _ bindings.InputStream) error {
			o := must[bindings.OutputStream](c.t)(c.b.Stdout.GetStdout(c.ctx))
			for range 100 {
				if err := o.BlockingWriteAndFlush(c.ctx, make([]byte, 4096)); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := pipe(t)
			c := newCaller(t, wasi.Config{Stdin: r, OutputRate: 100})
			in := must[bindings.InputStream](t)(c.b.Stdin.GetStdin(c.ctx))
			timer := time.AfterFunc(20*time.Millisecond, c.kill)
			defer timer.Stop()
			began := time.Now()
			if err := test.call(c, in); !errors.Is(err, wasi.ErrKilled) {
				t.Errorf("the call ended with %v, want the kill", err)
			}
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("the call ended %v after its start", d)
			}
		})
	}
}

// TestLongCallsLookForAKill makes calls for a guest that was killed.
func TestLongCallsLookForAKill(t *testing.T) {
	c := newCaller(t, wasi.Config{Env: slices.Repeat([]string{"a=b"}, 1000)})
	c.kill()
	_, err := c.b.Environment.GetEnvironment(c.ctx)
	c.want("get-environment", err, wasi.ErrKilled)
	_, err = c.b.Random.GetRandomBytes(c.ctx, 1<<20)
	c.want("get-random-bytes", err, wasi.ErrKilled)
	_, err = c.b.Random.GetRandomU64(c.ctx)
	c.want("get-random-u64", err, wasi.ErrKilled)
	o := must[bindings.OutputStream](t)(c.b.Stdout.GetStdout(c.ctx))
	must[uint64](t)(o.CheckWrite(c.ctx))
	c.want("write-zeroes", o.WriteZeroes(c.ctx, maxWrite), wasi.ErrKilled)
	_, err = c.b.Poll.Poll(c.ctx, slices.Repeat([]bindings.Pollable{c.after(0)}, maxPoll))
	c.want("poll", err, wasi.ErrKilled)
}

// TestQuiesce ends the input of a guest that waits for it.
func TestQuiesce(t *testing.T) {
	r, _ := pipe(t)
	c := newCaller(t, wasi.Config{Stdin: r})
	in := must[bindings.InputStream](t)(c.b.Stdin.GetStdin(c.ctx))
	p := must[bindings.Pollable](t)(in.Subscribe(c.ctx))
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	context.AfterFunc(ctx, c.guest.Quiesce)
	timer := time.AfterFunc(20*time.Millisecond, stop)
	defer timer.Stop()
	c.want("block", p.Block(c.ctx), nil)
	_, err := in.BlockingRead(c.ctx, 1)
	c.want("read", err, errClosed)
}
