// Package names looks up names for guests, as resolv.conf(5) and hosts(5) say.
//
//	resolver.go    a lookup: the hosts file, the candidates of a name, what their answers mean together
//	name.go        what is a name, and the candidates that it has with a search list
//	question.go    a question: its answer from the cache, from the same question under way, or from a server
//	exchange.go    a question to one server, over UDP and TCP
//	answer.go      the message of a server, read as if a liar had written it
//	files.go       resolv.conf and hosts as text, and those of the machine
//	errors.go      why a lookup has failed
//
// A Resolver belongs to one guest, or to guests that may see the same names. All its methods may
// be called by any goroutine. Lookup waits for servers, and returns when its context ends; then
// nothing of it goes on. The goroutines of a question are waited for by those who asked it. A
// Resolver holds nothing that has to be closed.
//
// Servers are not trusted, and neither are guests. Bounded are: names, the lookups under way, the
// questions under way (each has a socket), the time of a lookup, the length of an answer, the
// records that are read, the aliases that are followed, the addresses of a name, and the cache. An
// answer counts if it comes from the address that was asked, has the random number of the question
// and repeats the question. Its addresses may be any: whether the guest may connect there is
// decided when it connects.
package names
