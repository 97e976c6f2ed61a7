// Package stdio carries a guest's standard input and output between the guest and its attached
// clients.
//
// # Output
//
// A guest's output goes to its log, and then to each attached client. Both streams are in the order
// of the guest's writes. Each client has a goroutine that writes to it. At most 64 KiB may be
// waiting for a client; then the guest waits for the client. If a stream of a client fails, it gets
// no more output. Only a guest without a log gets the error, if the client was attached at its
// start.
//
// When the guest has ended by itself, Output.Close waits until the clients have taken all output:
// at most a second if the guest has a log, and otherwise until the guest is killed. After a kill it
// waits 10 ms. A Write that still blocks after that is abandoned; it ends when the owner of the
// stream closes it.
//
// # Input
//
// An Input reads from one client at a time, and stores nothing. A Read of the client's stream runs
// from the start. What it has read, at most 16 KiB, waits until the guest reads. When a client
// disconnects, the bytes that it has read but not given to the guest are lost. A guest that reads
// while no client is attached waits. If a Read does not return when its client disconnects, the
// owner of the stream must end it, and its bytes are lost.
//
// # Who calls it
//
// Write, Output.Bound, Output.Close and Input.Read are for the guest's thread. Attach may be called
// from any goroutine. It returns at once when its context ends or a stream of its client fails.
// After that the guest does not wait for this client any more.
package stdio
