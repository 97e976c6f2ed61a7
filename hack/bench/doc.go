// Package bench measures what the user of a node notices, with the real agent on a real control
// plane: `make bench`.
//
// It has only tests. A subject is a benchmark function. A row of the report is one of its parts, so
//
//	go test -run '^$' -bench Pod/start ./hack/bench
//
// measures some rows. No benchmark checks a time, because other programs on the machine would
// change the result. To compare two versions, run them in turn, several times. To judge one run,
// look at its ratios.
//
// # Rows of Pod
//
// The image is on the node, and compiled. The time begins just before the call that creates a pod.
// It ends when a watch, with its own connection, shows that the pod is Running and Ready.
//
//	start/…     pods one at a time: p50-ms, p90-ms and max-ms
//	burst100/…  100 pods at the same time. all-ms, from the first call until the last pod is
//	            Running, is the median of the rounds; all-min-ms and all-max-ms are the best and
//	            the worst; p50-ms is that of single pods
//	burst500/…  the same with 500 pods
//	…/tiny      the smallest guest
//	…/bound     the smallest guest in a pod that names its node, so the scheduler does nothing
//	…/isolated  the same, with a worker of its own
//	…/go        a guest written in Go
//	…/component the same guest as a component
//
// and in all of them
//
//	node-p50-ms  the node's part: from the event that shows a pod bound to the event that shows it
//	             Running
//	api-p50-ms   the yardstick: from a write to the API server to the watch event that shows it,
//	             measured between the rounds. Each pod needs at least three such writes: created,
//	             bound, reported.
//	x-api        the cost of a pod in yardsticks: p50-ms, or a hundredth of all-ms, divided by
//	             api-p50-ms
//
// The pods of a round are deleted at the same time, without grace. gone-ms is the time until the
// API server and the node have removed the last pod of a burst. The next round begins when the node
// has removed the pods' folders and, after a burst, has written its events. The clock stops during
// that wait. ns/op is the mean of the rounds.
//
// # Rows of Restart
//
// The agent of a node with 500 running pods is killed and started again. The time begins when the
// process starts.
//
//	ready-…  until the node keeps its lease again and is Ready
//	told-…   until a container that ended while no agent ran is reported
//
// The benchmark looks at both every 50 ms. It checks that all 500 containers are the same as
// before.
//
// # Rows of Idle
//
// The node has 110 pods that sleep, written in Go. In the rows with probed, each pod has a command
// as its readiness probe, every 10 s.
//
//	agent-%, worker-%  of a processor
//	worker-KB/pod      all anonymous memory of the worker, divided by the number of pods
//	agent-MB           the agent's anonymous memory
//
// # Rows of Handlers
//
// The node has 500 Ready pods that are HTTP handlers and have got no request, or as many as the
// variable BENCH_HANDLERS says. Then 200 of them get one, each over a connection of its own.
//
//	KB/pod    anonymous memory of the agent and the workers together, divided by the number of pods,
//	          before the requests, when nothing has happened for two and a half minutes
//	MB        the same, undivided
//	agent-MB  the agent's part
//	first-ms  from the first byte of a request until the first byte of the answer: the mean;
//	          first-max-ms is the slowest
//
// # Rows of Scrape
//
// One connection reads a page of the API of a node with 110 pods, again and again.
//
//	p50-ms, p99-ms       until the page is read
//	agent-ms, worker-ms  processor time for one page
//	KB                   size of the page
//
// # Rows of Exec
//
// A command beside a container's run, with a connection of its own. The time is from client-go's
// call until the client has the exit code.
//
//	node/…  directly to the node: the time that the agent takes
//	api/…   through the API server
//	cat/…   256 MiB to a command that sends them back, through the API server; MB/s counts them
//	        once
//
// # Rows of Logs
//
// Clients ask the node directly, over TLS. The guest prints 1,000 short lines a second, or fewer if
// it is delayed.
//
//	follow        one client follows: p50-ms and p99-ms from a line's time stamp until the client
//	              has the line
//	followers200  200 clients follow one container: agent-% of a processor; lines/s-each is the
//	              rate of the slowest client
//	read/…        a client reads a log of 1 GiB: MB/s, and how much the agent's memory grew
//
// # Rows of Pull
//
// Images come from a registry in this process, on loopback. There is no cluster.
// go-containerregistry's crane does the same in turn, but never syncs. Each pull begins with an
// empty folder and without connections.
//
//	images20          20 modules, ten at a time: ms until they are usable, crane-ms, and x-crane,
//	                  which is ms divided by crane-ms; synced-ms is until they are safely on disk
//	layers8           the same for an image whose root filesystem has 8 layers of 4 MiB each; the
//	                  layers are not unpacked
//	layers8/unpacked  the same for a pull that unpacks the image, and for `crane export`, which
//	                  unpacks it into a tar
//	memory/…          heap-MiB is the largest growth of the heap, with the registry's, during the
//	                  pull of one module
package bench
