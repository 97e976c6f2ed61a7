package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/krustlet-go/krustlet-wasi/hack/guests/wasinet"
)

// digPatience is how long dig waits for an answer.
const digPatience = 5 * time.Second

var recordTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "SRV": dnsmessage.TypeSRV, "PTR": dnsmessage.TypePTR,
	"CNAME": dnsmessage.TypeCNAME, "TXT": dnsmessage.TypeTXT,
}

// question is a question of dig: its name and type, the server, and the protocol.
type question struct {
	name, server           string
	kind                   dnsmessage.Type
	tcp, search, short     bool
	suffixes, servers      []string // of /etc/resolv.conf
	dotsOfCompleteSearches int
}

// dig asks a name server, of /etc/resolv.conf or of the command line, and prints the answers.
func dig(_ context.Context, c call) int {
	q, err := newQuestion(c.args[1:])
	if err != nil {
		return c.errorf("%v", err)
	}
	for _, name := range q.names() {
		answers, err := q.ask(name)
		if err != nil {
			fmt.Fprintf(c.stdout, ";; %v\n", err)
			return 9 // as dig, if no server answers
		}
		for _, answer := range answers {
			fmt.Fprintln(c.stdout, q.text(answer))
		}
		if len(answers) > 0 {
			break
		}
	}
	return 0
}

func newQuestion(args []string) (question, error) {
	q := question{kind: dnsmessage.TypeA, dotsOfCompleteSearches: 1}
	if err := q.readConfiguration(); err != nil {
		return q, err
	}
	for _, arg := range args {
		kind, isKind := recordTypes[strings.ToUpper(arg)]
		switch {
		case arg[0] == '@':
			q.server = net.JoinHostPort(arg[1:], "53")
		case arg == "+tcp":
			q.tcp = true
		case arg == "+search":
			q.search = true
		case arg == "+short":
			q.short = true
		case arg[0] == '+' || arg[0] == '-' || strings.EqualFold(arg, "IN"):
		case isKind:
			q.kind = kind
		default:
			q.name = arg
		}
	}
	if q.server == "" && len(q.servers) > 0 {
		q.server = net.JoinHostPort(q.servers[0], "53")
	}
	if q.name == "" || q.server == "" {
		return q, errors.New("a name and a server are needed")
	}
	return q, nil
}

func (q *question) readConfiguration() error {
	content, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			q.servers = append(q.servers, fields[1])
		case "search":
			q.suffixes = fields[1:]
		case "options":
			for _, option := range fields[1:] {
				if number, is := strings.CutPrefix(option, "ndots:"); is {
					q.dotsOfCompleteSearches, _ = strconv.Atoi(number)
				}
			}
		}
	}
	return nil
}

// printOfResolvConf prints what is in /etc/resolv.conf, with commas between.
func printOfResolvConf(of func(question) []string) int {
	var q question
	if err := q.readConfiguration(); err != nil {
		fmt.Fprintln(os.Stderr, "agnhost:", err)
		return 1
	}
	fmt.Println(strings.Join(of(q), ","))
	return 0
}

// names are the names to ask for, one after the other.
func (q question) names() []string {
	if !q.search || strings.HasSuffix(q.name, ".") {
		return []string{q.name}
	}
	var all []string
	for _, suffix := range q.suffixes {
		all = append(all, q.name+"."+suffix)
	}
	if strings.Count(q.name, ".") >= q.dotsOfCompleteSearches {
		return append([]string{q.name}, all...)
	}
	return append(all, q.name)
}

func (q question) ask(name string) ([]dnsmessage.Resource, error) {
	asked, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, err
	}
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: uint16(time.Now().UnixNano()), RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: asked, Type: q.kind, Class: dnsmessage.ClassINET}},
	}
	packed, err := message.Pack()
	if err != nil {
		return nil, err
	}
	var answer []byte
	if q.tcp {
		answer, err = askByTCP(q.server, packed)
	} else {
		answer, err = exchange(q.server, packed, digPatience)
	}
	if err != nil {
		return nil, err
	}
	var response dnsmessage.Message
	if err := response.Unpack(answer); err != nil {
		return nil, err
	}
	if response.ID != message.ID {
		return nil, errors.New("the answer is to another question")
	}
	return response.Answers, nil
}

// askByTCP sends a message with its length before it, and reads such a message.
func askByTCP(server string, message []byte) ([]byte, error) {
	ctx, stop := within(context.Background(), digPatience)
	defer stop()
	c, err := wasinet.DialContext(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(digPatience)); err != nil {
		return nil, err
	}
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err = io.ReadFull(c, answer)
	return answer, err
}

func (q question) text(r dnsmessage.Resource) string {
	data := ""
	switch body := r.Body.(type) {
	case *dnsmessage.AResource:
		data = netip.AddrFrom4(body.A).String()
	case *dnsmessage.AAAAResource:
		data = netip.AddrFrom16(body.AAAA).String()
	case *dnsmessage.SRVResource:
		data = fmt.Sprintf("%d %d %d %s", body.Priority, body.Weight, body.Port, body.Target)
	case *dnsmessage.PTRResource:
		data = body.PTR.String()
	case *dnsmessage.CNAMEResource:
		data = body.CNAME.String()
	case *dnsmessage.TXTResource:
		data = strconv.Quote(strings.Join(body.TXT, ""))
	}
	if q.short {
		return data
	}
	return fmt.Sprintf("%s\t%d\tIN\t%s\t%s", r.Header.Name, r.Header.TTL, strings.TrimPrefix(r.Header.Type.String(), "Type"), data)
}

// getent prints the addresses of names: getent hosts NAME...
func getent(_ context.Context, c call) int {
	if len(c.args) < 3 || c.args[1] != "hosts" && c.args[1] != "ahosts" {
		return c.errorf("only hosts is known here")
	}
	for _, name := range c.args[2:] {
		all, err := wasinet.Lookup(name)
		if err != nil || len(all) == 0 {
			return 2
		}
		fmt.Fprintf(c.stdout, "%s\t%s\n", all[0], name)
	}
	return 0
}

// nslookup prints the addresses of a name.
func nslookup(_ context.Context, c call) int {
	name := c.args[len(c.args)-1]
	all, err := wasinet.Lookup(name)
	if err != nil || len(all) == 0 {
		fmt.Fprintf(c.stdout, "** server can't find %s: NXDOMAIN\n", name)
		return 1
	}
	for _, address := range all {
		fmt.Fprintf(c.stdout, "Name:\t%s\nAddress: %s\n", name, address)
	}
	return 0
}
