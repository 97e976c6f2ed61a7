// Package door takes the connections of a TLS port, and decides who may stay.
//
// Anyone can connect, so connections are bounded by what is known of the client:
//
//	pending    its TLS handshake is under way           by address
//	stranger   it has no certificate that is verified,
//	           and nothing else has said who it is      by address
//	token      a request has said who it is             by user
//	certified  its certificate was verified             by user
//
// An address is one of IPv4, or a /64 of IPv6. A client with a certificate is certified as soon as
// its handshake is done, so it needs a slot among strangers for the time of the handshake only.
//
// # Who gives way
//
// Among pending connections and strangers, the newest gets in and another one has to close. The
// door picks it from the address that has too many, or else from the address that has the most. A
// silent connection closes before one that has sent something, and the oldest closes first. If the
// door refused the newest, the clients that hold all slots would keep them. A pending connection
// keeps its slot for a moment at least: until the door has waited for quietStay if it is silent, or
// for busyStay if it speaks. During that time the door takes no connection, and the kernel keeps
// the next ones in their order. So a flood is slowed down, and handshakes begin no faster than the
// machine can do them. A prompt client always gets through, even one whose address is part of the
// flood.
//
// Among the connections of known users, the newest is refused, because the others are in use.
//
// A connection that has to close is reset, so that the kernel keeps nothing of it.
//
// # Blocking and ownership
//
// New starts the door. Accept returns connections whose handshake has succeeded. The caller of
// Accept must close them. Close ends the door: the port, the handshakes, and all goroutines except
// those of accepted connections. All methods may be called concurrently.
package door
