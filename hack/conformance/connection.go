package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
)

// connect connects to a program, which names its address in the first line of its standard output.
func (p *process) connect(ctx context.Context, o operation) error {
	if o.Protocol != "" && o.Protocol != "tcp" {
		return fmt.Errorf("connecting by %q: %w", o.Protocol, errUnknownOperation)
	}
	address := strings.TrimSpace(p.stdout.line())
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connecting to the program: %w", err)
	}
	if end, ok := ctx.Deadline(); ok {
		_ = c.SetDeadline(end) // it fails only if it is closed
	}
	if p.connections == nil {
		p.connections = map[string]net.Conn{}
	}
	p.connections[o.ID] = c
	return nil
}

func (p *process) send(id, payload string) error {
	c := p.connections[id]
	if c == nil {
		return fmt.Errorf("sending: there is no connection %q", id)
	}
	if _, err := io.WriteString(c, payload); err != nil {
		return fmt.Errorf("sending to the program: %w", err)
	}
	return nil
}

// receive compares the next bytes of a connection.
func (p *process) receive(id, payload string) error {
	c := p.connections[id]
	if c == nil {
		return fmt.Errorf("receiving: there is no connection %q", id)
	}
	b := make([]byte, len(payload))
	n, err := io.ReadFull(c, b)
	if got := string(b[:n]); got != payload {
		return fmt.Errorf("received %q, want %q: %w", got, payload, err)
	}
	return nil
}
