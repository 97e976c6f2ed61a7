// Package hostport makes a node listen for its pods: it forwards connections to a port of the node
// to a port of a pod.
//
// A Node listens with its own sockets. For each connection it connects to the pod, and copies data
// in both directions. If one direction ends, it passes that end on, and the other direction goes
// on. It also passes on a reset. If no program accepts at the pod, it resets the client's
// connection.
//
// If a port names no address, the Node listens at each address of the machine separately. It does
// not listen at 0.0.0.0: such a socket would keep every pod of the node from that port, even at the
// pod's own address. While Run runs, the Node also listens at addresses that the machine gets
// later.
//
// A Guard may refuse clients, and have connections cut. Without it, NetworkPolicies would not hold
// here: to the pod, a forwarded connection seems to come from the machine itself.
//
// Nothing outlives the Node: when Run returns or the process exits, its sockets and connections are
// closed. When a pod is closed, its sockets are closed at once, so that other pods can have the
// ports. Its connections get a moment to end by themselves, because the pod may just have sent its
// last data. There are bounds for the connections of each port, of each pod and of all pods
// together. A connection beyond a bound waits. A connection costs two open files. It has no buffer
// while no data flows. A Node is safe for concurrent use.
package hostport
