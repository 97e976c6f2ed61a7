// Package kubeletapi serves the kubelet's HTTPS API of one node: container logs,
// commands in containers, the node's pods, configuration, health and metrics, and
// what it and its pods use.
//
// The API server is its main client: `kubectl logs` arrives here as GET
// /containerLogs/NAMESPACE/POD/CONTAINER. What is served comes from the small
// interfaces [Pods], [Logs], [Execs] and [Stats], which the agent connects.
//
// # Who may do what
//
// Every request is authenticated and authorized before the server says anything else about it. That
// includes paths that do not exist. No client is served anonymously. Package access asks the
// cluster: a client certificate is verified against the client authority, a bearer token by a
// TokenReview, and what that user may do by a SubjectAccessReview for the resource "nodes" of this
// node's name. The subresources are the kubelet's:
//
//	path                                    verb       subresource, the first allowed one counts
//	/containerLogs/...                      by method  log, proxy
//	/pods, /runningpods/                    by method  pods, proxy
//	/healthz, /healthz/...                  by method  healthz, proxy
//	/configz                                by method  configz, proxy
//	/stats/...                              by method  stats
//	/metrics, /metrics/...                  by method  metrics
//	/exec/..., /attach/..., /portForward/.. create     proxy
//	all others, /debug/... among them       by method  proxy
//
// nodes/proxy is the right to run programs in every pod of the node. Each request
// that is allowed by it alone leaves a line in the log (access/audit.go) when it has
// ended, and so do the first few of each second that are denied.
//
// Two deliberate differences: the stock kubelet lets container logs be read with nodes/proxy only,
// although it serves the same files below /logs/ to users who have nodes/log; and it derives the
// verb of exec, attach and port-forward from the method, so that WebSocket, which must use GET,
// needs no more than read access.
//
// # Blocking and ownership
//
// [Server.Serve] owns all goroutines: when it returns, all connections are closed and all requests
// have ended, but for those whose callee ignored the end of its context for five seconds. Requests
// run concurrently and call Pods, Logs and Execs concurrently. The context of a request ends when
// its client closes the connection, also for a connection of streams (exec). It also ends when the
// server shuts down: five seconds after the shutdown began, or as soon as only requests of streams
// are left. So followers of logs see what is written meanwhile. One exception: the server does not
// see that a client has closed its connection while the command has not read what the client sent
// before.
//
// What clients may use is limited (limits.go): header and body of a request, in size and time; idle
// connections; streams of an HTTP/2 connection; and how long a client may leave a log unread.
// Package door limits connections by what is known of the client, package access limits how often
// the cluster is asked on behalf of clients, and slots.go limits the number of logs and forwarded
// connections.
package kubeletapi
