// Package volume makes the volumes of a pod on the host, keeps them up to date, and says what each container sees of them.
//
//	volumes.go     the volumes of one pod: SetUp, Refresh, TearDown
//	content.go     what configMap, secret, projected and downwardAPI volumes hold
//	fields.go      values of the pod's own, for downwardAPI
//	token.go       service account tokens, and when they are renewed
//	contentdir.go  where that lies: in memory or on disk
//	atomic.go      how such a volume's files change: all at once
//	emptydir.go, hostpath.go, claim.go   volumes that are directories
//	mounts.go, subpath.go, open.go       what a container sees, also of images, and what is read of what it wrote
//	remove.go      how all of it goes, and nothing else with it
//
// Everything that the package makes lies in one folder of the pod. Files belong to the agent's user. What a pod refers
// to outside of that folder (hostPath, claims, images) is shown to its containers and never removed.
package volume
