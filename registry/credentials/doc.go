// Package credentials finds the credentials for pulling an image. It takes them from three sources,
// in this order: the pod's imagePullSecrets, the node's docker config, and the answers of the
// node's credential provider plugins.
//
// A docker config says which registry its credentials are for. Kubernetes has its own rules for
// that, which differ from docker's: each part of a host may have globs, and a path matches all
// paths that begin with it. The most specific entry comes first. There may be several for one
// image; they are tried in order.
//
// Each Credential has an owner, so that the store can decide later who else may use an image that
// was pulled with it.
//
// This package never connects to a registry. Plugins run in the caller's goroutine. For one image,
// only one runs at a time.
package credentials
