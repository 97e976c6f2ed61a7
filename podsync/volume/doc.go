// Package volume makes the volumes of a pod on the host, updates them, and returns what each
// container sees of them.
//
//	volumes.go      the volumes of one pod: SetUp, Refresh, TearDown
//	kinds.go        the kinds of volumes, one row for each
//	configmap.go, secret.go, downwardapi.go, projected.go, token.go   kinds with content
//	emptydir.go, hostpath.go, claim.go                                kinds that are directories
//	image.go                                                          the kind that shows an image
//	content.go      content from the API server, as files
//	contentdir.go   the directory of such files: in memory or on disk
//	atomic.go       how such files change: all at once
//	mounts.go, subpath.go   what a container sees of volumes
//	open.go         reading a file that a container wrote
//	usage.go, locations.go, meter.go   what volumes hold
//	remove.go       removing what this package made, and nothing else
//
// Everything that the package makes lies in one folder of the pod. The files belong to the agent's
// user. Directories outside of that folder (hostPath, claims, images) are shown to containers and
// never removed.
package volume
