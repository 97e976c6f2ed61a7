//go:build wasip1 && !earlier

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wasinet"
)

// networkCommands are those of connections.
func networkCommands() map[string]command {
	return map[string]command{"dial": dial, "datagram": datagram, "lookup": lookup, "listen": listen, "stream": stream, "knock": knock}
}

var errUsage = errors.New("wrong arguments")

// dial NETWORK ADDRESS TEXT... sends the text by a connection, and prints the answer.
func dial(args []string) error {
	if len(args) < 2 {
		return errUsage
	}
	c, err := wasinet.Dial(args[0], args[1])
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Printf("from %s to %s\n", c.LocalAddr(), c.RemoteAddr())
	if _, err := io.WriteString(c, strings.Join(args[2:], " ")); err != nil {
		return err
	}
	if strings.HasPrefix(args[0], "udp") {
		b := make([]byte, 1500)
		n, err := c.Read(b)
		fmt.Printf("%s\n", b[:n])
		return err
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(os.Stdout, c)
	return err
}

// datagram ADDRESS TEXT... sends the text by a socket without a connection, and prints the answer.
func datagram(args []string) error {
	if len(args) < 1 {
		return errUsage
	}
	to, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	any := netip.IPv4Unspecified()
	if to.Addr().Is6() {
		any = netip.IPv6Unspecified()
	}
	c, err := wasinet.ListenPacket(netip.AddrPortFrom(any, 0))
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.WriteTo([]byte(strings.Join(args[1:], " ")), net.UDPAddrFromAddrPort(to)); err != nil {
		return err
	}
	b := make([]byte, 1500)
	n, from, err := c.ReadFrom(b)
	fmt.Printf("%s from %v\n", b[:n], from)
	return err
}

// lookup NAME... prints the addresses of names.
func lookup(args []string) error {
	for _, name := range args {
		found, err := wasinet.Lookup(name)
		if err != nil {
			return err
		}
		fmt.Println(name, found)
	}
	return nil
}

// listen ADDRESS prints the address at which it listens, and sends back what the first client
// sends.
func listen(args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	at, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	l, at, err := wasinet.Listen(at)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println(at)
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = io.Copy(c, c)
	return err
}

// stream ADDRESS BYTES sends so many bytes by a connection, in pieces of 64 KiB, and waits until
// the other end closes it.
func stream(args []string) error {
	if len(args) != 2 {
		return errUsage
	}
	c, err := wasinet.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 64<<10)
	for left := number(args[1:], 0); left > 0; {
		n, err := c.Write(b[:min(left, len(b))])
		if err != nil {
			return err
		}
		left -= n
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c)
	return err
}

// knock ADDRESS sends requests of HTTP for ever, each by a connection of its own. For
// each it prints `through` if there is an answer, and else `kept out`.
func knock(args []string) error {
	if len(args) != 1 {
		return errUsage
	}
	for ; ; time.Sleep(20 * time.Millisecond) {
		if answers(args[0]) {
			fmt.Println("through")
		} else {
			fmt.Println("kept out")
		}
	}
}

// answers reports whether a server of HTTP answers a request.
func answers(address string) bool {
	c, err := wasinet.Dial("tcp", address)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return false
	}
	if _, err := io.WriteString(c, "GET /x HTTP/1.0\r\n\r\n"); err != nil {
		return false
	}
	n, _ := c.Read(make([]byte, 1))
	return n > 0
}
