// Package credentials finds the credentials with which an image may be pulled: those of the pod's
// imagePullSecrets, those of the node's docker config, and what the node's credential provider
// plugins answer, in this order.
//
// A docker config says which registry its credentials are for by rules that are Kubernetes', not
// docker's: a host may have globs in each of its parts, and a path is matched by how it begins. The
// most specific comes first, and there may be several for one image, to be tried one after the
// other.
//
// Each Credential knows whose it is, so that the store can say later who else may have an image
// that was pulled with it.
//
// Nothing here speaks to a registry. The caller's goroutine executes plugins, never two at a time
// for one image.
package credentials
