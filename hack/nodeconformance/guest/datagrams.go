package main

import (
	"fmt"
	"log"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wasinet"
)

// serveDatagrams answers datagrams at a port until the socket is closed. It sends no empty answer.
func serveDatagrams(port int, answer func(text string, from net.Addr) string) error {
	c, err := wasinet.ListenPacket(netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)))
	if err != nil {
		return fmt.Errorf("listening at port %d of UDP: %w", port, err)
	}
	log.Printf("Started UDP server on port %d", port)
	go func() {
		b := make([]byte, 4096)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				log.Printf("The UDP server ended: %v", err)
				return
			}
			if text := answer(string(b[:n]), from); text != "" {
				if _, err := c.WriteTo([]byte(text), from); err != nil {
					log.Printf("An answer by UDP was not sent: %v", err)
				}
			}
		}
	}()
	return nil
}

// datagramAnswer answers the words that agnhost's netexec knows.
func datagramAnswer(port int) func(string, net.Addr) string {
	return func(text string, from net.Addr) string {
		word, rest, _ := strings.Cut(strings.ToLower(strings.TrimSpace(text)), " ")
		switch word {
		case "hostname":
			return os.Getenv("HOSTNAME")
		case "echo":
			return rest
		case "clientip":
			return from.String()
		case "serverport":
			return strconv.Itoa(port)
		}
		return ""
	}
}
