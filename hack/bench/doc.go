// Package bench measures what the user of a node feels, with the real agent on a real control
// plane: `make bench`.
//
// It holds tests only. A subject is a benchmark function, a row of the report one of its parts, so
// that
//
//	go test -run '^$' -bench Pod/start ./hack/bench
//
// measures some rows. Nothing here asserts a time: whatever runs beside it on the machine would
// decide. Compare two versions by running them in turn, several times; judge one run by its ratios.
//
// # Rows of Pod
//
// The image is on the node, and compiled. The time begins just before the call that creates a pod,
// and ends when a watch, on a connection of its own, shows the pod Running and Ready.
//
//	start/…     pods one at a time: p50-ms, p90-ms and max-ms
//	burst100/…  100 pods at once: all-ms, from the first call until the last pod is Running, is the median of the
//	            rounds, all-min-ms and all-max-ms the best and the worst; p50-ms is that of single pods
//	burst500/…  the same with 500 pods
//	…/tiny      the smallest guest
//	…/bound     the smallest guest in a pod that names its node, past the scheduler
//	…/isolated  the same, with a worker process of its own
//	…/go        a guest written in Go
//
// and in all of them
//
//	node-p50-ms  the node's share, from the event that shows a pod bound to the one that shows it Running
//	api-p50-ms   the yardstick: a write to the API server and the watch event that shows it, taken between the rounds.
//	             No pod starts in less than three: created, bound, reported.
//	x-api        what a pod costs by that measure: p50-ms, or a hundredth of all-ms, divided by api-p50-ms
//
// The pods of a round are deleted without grace, all at once: gone-ms is until the last of a burst
// is gone from the API server and from the node. The next round begins when the node has cleared
// their folders away and, after a burst, written its events; the clock stands still meanwhile.
// ns/op is the mean of the rounds.
//
// # Rows of Restart
//
// The agent of a node with 500 running pods is killed and started again. The time begins with the
// process.
//
//	ready-…  until the node keeps its lease again and is Ready
//	told-…   until a container that ended while no agent ran is reported
//
// Both are looked at every 50 ms. That all 500 containers are the same ones is checked.
//
// # Rows of Idle
//
// 110 pods that sleep, written in Go; with probed, each has a command as its readiness probe, every
// 10 s.
//
//	agent-%, worker-%  of a processor
//	worker-KB/pod      anonymous memory of the worker, by pods: its own included
//	agent-MB           anonymous memory of the agent
//
// # Rows of Scrape
//
// A page of the node's API with 110 pods on it, read over and over on one connection.
//
//	p50-ms, p99-ms       until the page is read
//	agent-ms, worker-ms  processor time of a page
//	KB                   size of the page
//
// # Rows of Exec
//
// A command beside a container that runs, from the call of client-go's until it has the exit code,
// with a connection of its own.
//
//	node/…  straight to the node: what the agent takes
//	api/…   through the API server
//	cat/…   256 MiB through a command that gives them back, through the API server; MB/s counts them once
//
// # Rows of Logs
//
// Clients ask the node itself, over TLS. The guest prints 1,000 short lines a second, as far as it
// gets to.
//
//	follow        one client follows: p50-ms and p99-ms from a line's time stamp until the client has it
//	followers200  200 clients follow one container: agent-% of a processor; lines/s-each is what the slowest of them got
//	read/…        a log of 1 GiB is read: MB/s, and by how much the agent's memory grew
//
// # Rows of Pull
//
// Images come from a registry in this process, on loopback; no cluster takes part. crane,
// go-containerregistry's own, does the same in turns with it, and syncs nothing. Each begins with
// an empty folder and without connections.
//
//	images20          20 modules, ten at a time: ms, until they can be used, crane-ms, and x-crane, the one divided by the other;
//	                  synced-ms is until they are safely on disk
//	layers8           the same of an image with a root filesystem of 8 layers of 4 MiB each, which is not unpacked
//	layers8/unpacked  the same of a pull that unpacks the image, and `crane export`, which unpacks it into a tar
//	memory/…          heap-MiB is the most that the heap, the registry's included, grew by while one module was pulled
package bench
