package pause

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := For(t.Context(), time.Minute); err != nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v; want no error after a minute", err, time.Since(began))
		}
		for _, d := range []time.Duration{0, -time.Second} {
			began = time.Now()
			if err := For(t.Context(), d); err != nil || time.Since(began) != 0 {
				t.Errorf("%v: %v after %v; want no error at once", d, err, time.Since(began))
			}
		}
	})
}

func TestForEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		began := time.Now()
		if err := For(ctx, time.Minute); !errors.Is(err, why) || time.Since(began) != time.Second {
			t.Errorf("%v after %v; want the cause after a second", err, time.Since(began))
		}
		if err := For(ctx, 0); !errors.Is(err, why) {
			t.Errorf("a pause of no length: %v; want the cause", err)
		}
	})
}
