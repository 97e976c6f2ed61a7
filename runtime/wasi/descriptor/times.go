package descriptor

import (
	"golang.org/x/sys/unix"

	"github.com/krustlet-go/krustlet-wasi/runtime/wasi"
)

// Time is a time that a guest sets.
type Time struct {
	Set         SetTime
	Seconds     int64 // since 1970, with SetTo
	Nanoseconds uint32
}

// SetTime says what a time is set to. The numbers are those of the cases of new-timestamp.
type SetTime uint8

// What a time is set to.
const (
	SetNothing SetTime = iota // it stays as it is
	SetNow
	SetTo
)

const second = 1_000_000_000

// Split returns seconds and nanoseconds of a time of wasi.Stat.
func Split(ns uint64) (seconds int64, nanoseconds uint32) {
	return int64(ns / second), uint32(ns % second)
}

func timesOf(access, modified Time) (times wasi.Times, err error) {
	for i, t := range [2]Time{access, modified} {
		switch {
		case t.Set == SetNothing:
			times[i].Nsec = unix.UTIME_OMIT
		case t.Set == SetNow:
			times[i].Nsec = unix.UTIME_NOW
		case t.Nanoseconds >= second: // some of which are UTIME_NOW and UTIME_OMIT
			return times, wasi.ErrInvalid
		default:
			times[i] = unix.Timespec{Sec: t.Seconds, Nsec: int64(t.Nanoseconds)}
		}
	}
	return times, nil
}
