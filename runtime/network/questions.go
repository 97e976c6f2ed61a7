package network

import (
	"errors"
	"net"
	"sync"
)

// maxQuestions bounds the sockets to servers of names, of all guests together. They are none of the
// files that guests open: servers that do not answer must not make a process run out of these. A
// guest gets another one only if more are free than it has, so some are always free for others.
const maxQuestions = 512

var errQuestions = errors.New("too many questions to servers of names are under way")

// takeQuestion takes the room of a question, until give.
func (n *Network) takeQuestion() (give func(), ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.cluster.questions.Take(n.questions) {
		return nil, false
	}
	n.questions++
	return sync.OnceFunc(func() {
		n.mu.Lock()
		n.questions--
		n.mu.Unlock()
		n.cluster.questions.Give(1)
	}), true
}

// questionConn is a socket to a server of names.
type questionConn struct {
	net.Conn
	give func()
}

// Close implements net.Conn.
func (c *questionConn) Close() error {
	defer c.give()
	return c.Conn.Close()
}
