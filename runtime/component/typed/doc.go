// Package typed has what typed bindings of host functions share: Go types for the types that WIT
// builds of others, what lifts and lowers them, how functions fail, answer later and are found.
// hack/witgen writes the bindings.
//
// # Values
//
//	bool, s8 to u64, f32, f64, char, string    bool, int8 to uint64, float32, float64, rune, string
//	list<u8>, list<T>                          []byte, []T
//	list<T, n>, tuple<T, T>                    [n]T, [2]T
//	tuple<T, U>                                Tuple2[T, U], and so on to Tuple8
//	map<K, V>                                  []Tuple2[K, V]: the guest's order, and its duplicates
//	option<T>                                  Option[T]
//	result<T, E>                               Result[T, E], but see below
//	record, flags, enum                        a struct, a uint32, a uint8, uint16 or uint32
//	variant                                    a struct: its case, and fields for values of cases
//	resource, own or borrowed                  an interface, which a Go type of the host implements
//	stream<T>, future<T>, error-context        Stream[T], Future[T], ErrorContext
//
// Nothing of it allocates but strings, lists other than of u8, and errors that are variants.
//
// # Bytes
//
// The bytes that a host function gets lie in the guest's memory. They may be read until the
// function returns, and may not be written or kept. The bytes that it returns are copied into the
// guest's memory before anything else happens: the host may use them again for the next call. They
// may be those that it got only if they are all that needs memory in the result: the guest
// allocates in between, and its memory may move.
//
// # Errors
//
// Every host function returns an error. Where WIT says that it returns result<T, E>, it returns
// (T, error): an error that is an E, or wraps one, is the result for the guest. E is a Go error if
// it is an enum or a variant; else it is Failure[E]. Every other error ends the guest. So results
// that say no, the guest's exit, its end and trouble of the host all go one way.
//
// # Answering later
//
// A function that is async in WIT gets an Async. It may return its result at once, or ErrLater.
package typed
