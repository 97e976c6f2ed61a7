package kubeletapi

import (
	"io"
	"sync"
	"unicode/utf8"
)

// These keys edit a line, as in terminals by default.
const (
	keyInterrupt = 0x03 // Ctrl-C
	keyEnd       = 0x04 // Ctrl-D
	keyBackspace = 0x08
	keyKill      = 0x15 // Ctrl-U
	keyDelete    = 0x7f // most terminals send it for backspace
)

// keysKept bounds the length of a line, and the bytes that a guest may leave unread. More bytes are
// dropped.
const keysKept = 1 << 20

// keyboard makes lines from the keys of a terminal in raw mode, as the line discipline of an
// operating system does. It shows the keys. The user can edit a line until it ends. The keyboard
// knows the keys for the end of the input and for an interrupt, and sees an interrupt even if the
// guest does not read. Only one goroutine may read from it.
type keyboard struct {
	over      <-chan struct{} // when this ends, the input ends
	echo      io.Writer
	interrupt func()

	line []byte        // the line that is being typed; only take uses it
	wake chan struct{} // has a token when there are new lines, or the end

	mu    sync.Mutex
	lines []byte // complete lines that are not read yet
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

// take reads keys until their end.
func (k *keyboard) take(keys io.Reader) {
	buf := make([]byte, 4<<10)
	for {
		n, err := keys.Read(buf)
		var shown []byte
		for _, key := range buf[:n] {
			shown = k.press(key, shown)
		}
		if len(shown) > 0 {
			_, _ = k.echo.Write(shown) // if the client has closed its connection, others notice it
		}
		if err != nil {
			k.hand(true)
			return
		}
	}
}

// press handles a key, and adds to shown what the user sees.
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

// erase removes the last character.
func (k *keyboard) erase(shown []byte) []byte {
	if len(k.line) == 0 {
		return shown
	}
	last, size := utf8.DecodeLastRune(k.line)
	k.line = k.line[:len(k.line)-size]
	if last < ' ' && last != '\t' {
		shown = append(shown, "\b \b"...) // it was shown as two characters
	}
	return append(shown, "\b \b"...)
}

// hand gives the guest the typed bytes, and the end of its input if end is set.
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
	default: // it has a token already
	}
}
