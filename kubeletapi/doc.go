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
// Every request is authenticated and authorized before anything else is said
// about it, the paths that do not exist included; nobody is served
// anonymously. [NewAuth] asks the cluster: a client certificate is verified
// against the client authority, a bearer token by a TokenReview, and what that
// user may do by a SubjectAccessReview for the resource "nodes" of this node's
// name. The subresources are the kubelet's:
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
// that is allowed by it alone leaves a line in the log (audit.go) when it has
// ended, and so do the first few of each second that are denied.
//
// Two deliberate differences: the stock kubelet lets container logs be read with
// nodes/proxy only, although it serves the same files below /logs/ to whoever has
// nodes/log; and it derives the verb of exec, attach and port-forward from the
// method, so that WebSocket, which must use GET, needs no more than read access.
//
// # Blocking and ownership
//
// [Server.Serve] owns all goroutines: when it returns, all connections are closed
// and all requests have ended, but for those whose callee ignored the end of its
// context for five seconds. Requests run concurrently and call Pods, Logs and
// Execs concurrently. The context of a request ends when its client goes, also
// where its connection has become one of streams (exec), or when the server shuts
// down: five seconds after it was told to, unless all requests but those of
// streams have ended before. So followers of logs see what is written meanwhile.
// One exception: that a client has gone is not seen while what it sent before is
// stuck, because the command does not read it.
//
// What clients may take is bounded (limits.go): header and body of a request, in
// size and time; idle connections; streams of an HTTP/2 connection; and how long
// a client may leave a log unread. Connections are bounded by what is known of the
// client (package door), what the cluster is asked on behalf of clients by a rate
// (reviews.go), and logs and forwarded connections in number (slots.go).
package kubeletapi
