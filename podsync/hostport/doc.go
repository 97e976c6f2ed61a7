// Package hostport has a node listen for its pods: what connects to a port of the node is connected to a port of the pod.
//
// A Node listens with sockets of its own, connects to the pod for each connection that it takes, and copies both ways. The end of
// one way is passed on while the other goes on, and so is a reset. Where nobody accepts at the pod, the connection is reset.
//
// A port without an address of its own is listened for at every address of the machine, one by one, and not at 0.0.0.0: a
// socket there keeps every pod of the node from that port, at their own addresses too. While Run runs, addresses that
// the machine gets later are listened at as well.
//
// Nothing outlives the Node: when Run ends, or the process, sockets and connections end. When a pod is closed, its sockets are
// closed at once, so that others may have the ports; its connections have a moment to end by themselves, as the pod
// may have said something last. Connections are bounded, for each port, each pod and all together: one too many waits. A connection
// costs two open files and, while nothing is said, no buffer. A Node is safe for concurrent use.
package hostport
