// Package kubeletapi serves the kubelet's HTTPS API of one node: container logs, commands in
// containers, the node's pods, configuration, health and metrics, and the resources that the node
// and its pods use.
//
// The API server is its main client: `kubectl logs` arrives here as GET
// /containerLogs/NAMESPACE/POD/CONTAINER. The agent provides the content through the small
// interfaces [Pods], [Logs], [Execs] and [Stats].
//
// # Who may do what
//
// Every request is authenticated and authorized before the server says anything else about it. That
// includes paths that do not exist. No client is served anonymously. Package access verifies a
// client certificate with the client authority. It asks the cluster about a bearer token with a
// TokenReview, and about a user's rights with a SubjectAccessReview for the resource "nodes" with
// this node's name. The subresources are the kubelet's:
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
// nodes/proxy is the right to run programs in every pod of the node. Each request that is allowed
// only by this right is logged when it has ended (access/audit.go). The first few denied requests
// of each second are logged, too.
//
// The API differs from the stock kubelet's in two ways, on purpose. The stock kubelet needs
// nodes/proxy for container logs, although it serves the same files below /logs/ to users who have
// nodes/log. And it derives the verb of exec, attach and port-forward from the method. WebSocket
// must use GET, so at a stock kubelet a right to read is enough for it.
//
// # Blocking and ownership
//
// [Server.Serve] owns all goroutines: when it returns, all connections are closed and all requests
// have ended. The exception is a request whose callee ignored the end of its context for five
// seconds. Requests run concurrently and call Pods, Logs and Execs concurrently. The context of a
// request ends when its client closes the connection, also for a connection of streams (exec). It
// also ends when the server shuts down: five seconds after the shutdown began, or as soon as only
// requests of streams are left. So followers of logs see what is written meanwhile. One exception:
// the server does not see that a client has closed its connection while the command has not read
// what the client sent before.
//
// Some limits hold for all clients (limits.go): header and body of a request, in size and time;
// idle connections; streams of an HTTP/2 connection; and how long a client may leave a log unread.
// Package door limits connections by what is known of the client, package access limits how often
// the cluster is asked on behalf of clients, and slots.go limits the number of logs and forwarded
// connections.
package kubeletapi
