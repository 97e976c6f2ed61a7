package logfile

import (
	"fmt"
	"io"
	"time"
)

// flushAt is how many bytes of output a printer collects before it writes.
const flushAt = 64 << 10

// none is the printer's position at the start of a line of output.
const none = -1

// printer turns records into the text that a user sees.
type printer struct {
	w       io.Writer
	opts    *Options
	show    [streams]bool
	start   [streams]int64 // records of a stream before this position are not shown
	out     []byte
	left    int64 // bytes that may still be written; negative means no limit
	goesOn  [streams]bool
	hidden  [streams]bool // the stream's current line is older than SinceTime
	midLine int           // the stream of the incomplete line at the end of the output, or none
}

func newPrinter(w io.Writer, opts *Options, show [streams]bool) *printer {
	p := &printer{w: w, opts: opts, show: show, left: -1, midLine: none}
	if opts.LimitBytes != nil {
		p.left = *opts.LimitBytes
	}
	return p
}

// print adds the record at the given position of the log to the output.
func (p *printer) print(rec record, at int64) error {
	s := rec.stream
	if !p.show[s] || at < p.start[s] {
		return nil
	}
	first := !p.goesOn[s]
	p.goesOn[s] = rec.partial
	if first {
		p.hidden[s] = p.tooOld(rec.stamp)
	}
	if p.hidden[s] {
		return nil
	}
	if p.midLine != none && p.midLine != s {
		p.out = append(p.out, '\n')
		p.midLine = none
	}
	if p.midLine == none && p.opts.Timestamps {
		p.out = append(append(p.out, rec.stamp...), ' ')
	}
	p.out = append(p.out, rec.text...)
	if rec.partial {
		p.midLine = s
	} else {
		p.out = append(p.out, '\n')
		p.midLine = none
	}
	if len(p.out) >= flushAt || p.full() {
		return p.write()
	}
	return nil
}

// tear ends the incomplete lines, because their next records are lost.
func (p *printer) tear() {
	if p.midLine != none {
		p.out = append(p.out, '\n')
	}
	p.midLine, p.goesOn = none, [streams]bool{}
}

// tooOld reports whether a line with this stamp is left out. If the stamp is not a valid time (the
// 30th of February), the line is shown.
func (p *printer) tooOld(stamp []byte) bool {
	if p.opts.SinceTime.IsZero() {
		return false
	}
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	return err == nil && t.Before(p.opts.SinceTime)
}

// full reports whether the limit is reached.
func (p *printer) full() bool {
	return p.left >= 0 && int64(len(p.out)) >= p.left
}

// write writes the collected output.
func (p *printer) write() error {
	if p.full() {
		p.out = p.out[:p.left]
	}
	if len(p.out) == 0 {
		return nil
	}
	if _, err := p.w.Write(p.out); err != nil {
		return fmt.Errorf("sending container log: %w", err)
	}
	if p.left >= 0 {
		p.left -= int64(len(p.out))
	}
	p.out = p.out[:0]
	return nil
}

// flush writes the collected output, and calls w's own flush if w has one.
func (p *printer) flush() error {
	if err := p.write(); err != nil {
		return err
	}
	switch w := p.w.(type) {
	case interface{ FlushError() error }:
		if err := w.FlushError(); err != nil {
			return fmt.Errorf("sending container log: %w", err)
		}
	case interface{ Flush() }:
		w.Flush()
	}
	return nil
}
