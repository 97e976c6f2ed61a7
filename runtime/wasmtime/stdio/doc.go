// Package stdio carries a guest's standard input and output between the guest and the clients that
// are attached to it.
//
// # Output
//
// What a guest writes goes to its log, and then to each client that is attached, both streams in
// the order of the guest's writes. A goroutine of each client writes to it. At most 64 KiB are on
// their way to a client; then the guest waits for it. A stream of a client that fails is left out
// from then on. Only a guest without a log gets the error, if the client was attached at its start.
//
// When the guest has ended by itself, Output.Close waits until the clients have taken everything:
// for at most a second where the guest has a log, else until the guest is killed. After a kill it
// waits 10 ms. Then a Write that still blocks is left behind; it ends when the owner of the stream
// closes it.
//
// # Input
//
// An Input is fed by one client at a time, and stores nothing. A Read of the client's stream is
// under way from the start, and what it has read, at most 16 KiB, waits until the guest reads. A
// client that leaves takes with it what it had read and not given. A guest that reads while no
// client is attached waits. A Read that does not return when its client leaves is left to the
// owner of the stream, and its bytes go nowhere.
//
// # Who calls it
//
// Write, Output.Bound, Output.Close and Input.Read are for the guest's thread. Attach may be called
// from any goroutine. It returns at once when its context ends or a stream of its client fails, and
// holds the guest no more.
package stdio
