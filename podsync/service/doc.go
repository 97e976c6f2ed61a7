// Package service turns Services and EndpointSlices into what the host of guests needs: for each
// address and port of a Service, the endpoints to which a guest of this node may be sent. It is
// pure, does no I/O and starts nothing.
//
// The rules are those of kube-proxy: ready endpoints; if there are none, those that are terminating
// and still serve; with internalTrafficPolicy Local only those of this node; with hints only those
// for this node or its zone, if all endpoints have hints and some are for it. Addresses of load
// balancers and externalIPs are left to the network, and so are NodePorts. Headless Services have
// nothing to lead to.
package service
