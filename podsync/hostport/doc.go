// Package hostport makes a node listen for its pods: a connection to a port of the node is
// connected to a port of the pod.
//
// A Node listens with sockets of its own. For each connection it connects to the pod, and copies
// both ways. It passes on the end of one way while the other goes on. It also passes on a reset. If
// no program accepts at the pod, it resets the connection.
//
// For a port without an address it listens at every address of the machine, one by one, and not at
// 0.0.0.0: a socket there keeps every pod of the node from that port, at their own addresses too.
// While Run runs, it also listens at addresses that the machine gets later.
//
// Nothing outlives the Node: when Run or the process ends, sockets and connections are closed. When
// a pod is closed, its sockets are closed at once, so that other pods may have the ports. Its
// connections have a moment to end by themselves, because the pod may have sent something last. The
// connections of each port, of each pod and of all pods together are bounded: one too many waits. A
// connection costs two open files, and no buffer while nothing is sent. A Node is safe for
// concurrent use.
package hostport
