package kubeletapi

import (
	"io"
	"sync"
	"unicode/utf8"
)

// The keys that edit a line, as terminals have them by default.
const (
	keyInterrupt = 0x03 // Ctrl-C
	keyEnd       = 0x04 // Ctrl-D
	keyBackspace = 0x08
	keyKill      = 0x15 // Ctrl-U
	keyDelete    = 0x7f // what most send for backspace
)

// keysKept is how long a line may be, and how much a guest may leave unread, in bytes. What is
// typed beyond is dropped.
const keysKept = 1 << 20

// keyboard makes lines of the keys that come from a terminal in raw mode, as the line discipline of
// a system's terminals does: it shows what is typed, lets a line be edited until it is ended, and
// knows the keys for the end of the input and for an interrupt, which it sees whether the guest
// reads or not. It is read by one goroutine.
type keyboard struct {
	over      <-chan struct{} // when this ends, so does the input
	echo      io.Writer
	interrupt func()

	line []byte        // that is being typed; take's own
	wake chan struct{} // has a token when there is something new

	mu    sync.Mutex
	lines []byte // finished, and not read yet
	ended bool
}

func newKeyboard(over <-chan struct{}, echo io.Writer, interrupt func()) *keyboard {
	return &keyboard{over: over, echo: echo, interrupt: interrupt, wake: make(chan struct{}, 1)}
}

// Read waits for the end of a line.
func (k *keyboard) Read(p []byte) (int, error) {
	for {
		k.mu.Lock()
		n := copy(p, k.lines)
		k.lines = k.lines[n:]
		ended := k.ended
		k.mu.Unlock()
		switch {
		case n > 0 || len(p) == 0:
			return n, nil
		case ended:
			return 0, io.EOF
		}
		select {
		case <-k.wake:
		case <-k.over:
			return 0, io.EOF
		}
	}
}

// take takes keys until there are no more.
func (k *keyboard) take(keys io.Reader) {
	buf := make([]byte, 4<<10)
	for {
		n, err := keys.Read(buf)
		var shown []byte
		for _, key := range buf[:n] {
			shown = k.press(key, shown)
		}
		if len(shown) > 0 {
			_, _ = k.echo.Write(shown) // a client that has closed its connection is noticed elsewhere
		}
		if err != nil {
			k.hand(true)
			return
		}
	}
}

// press takes a key, and adds to shown what the user sees of it.
func (k *keyboard) press(key byte, shown []byte) []byte {
	switch key {
	case '\r', '\n':
		k.line = append(k.line, '\n')
		k.hand(false)
		return append(shown, '\n')
	case keyInterrupt:
		k.line = nil
		k.interrupt()
		return append(shown, "^C\n"...)
	case keyEnd:
		k.hand(len(k.line) == 0)
		return shown
	case keyBackspace, keyDelete:
		return k.erase(shown)
	case keyKill:
		for len(k.line) > 0 {
			shown = k.erase(shown)
		}
		return shown
	}
	if len(k.line) == keysKept {
		return append(shown, '\a')
	}
	k.line = append(k.line, key)
	if key < ' ' && key != '\t' {
		return append(shown, '^', key+'@')
	}
	return append(shown, key)
}

// erase takes the last character back.
func (k *keyboard) erase(shown []byte) []byte {
	if len(k.line) == 0 {
		return shown
	}
	last, size := utf8.DecodeLastRune(k.line)
	k.line = k.line[:len(k.line)-size]
	if last < ' ' && last != '\t' {
		shown = append(shown, "\b \b"...) // it was shown as two
	}
	return append(shown, "\b \b"...)
}

// hand gives the guest what was typed, and the end of its input if that has come.
func (k *keyboard) hand(end bool) {
	k.mu.Lock()
	if !k.ended && len(k.lines)+len(k.line) <= keysKept+1 {
		k.lines = append(k.lines, k.line...)
	}
	k.ended = k.ended || end
	k.mu.Unlock()
	k.line = k.line[:0]
	select {
	case k.wake <- struct{}{}:
	default: // it is awake
	}
}
