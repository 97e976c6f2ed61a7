// Package access decides who may do what at the kubelet's API. [New] asks the cluster: a client
// certificate is verified with the authority of clients, a bearer token by a TokenReview, and the
// rights of a user by a SubjectAccessReview.
//
// How often the cluster is asked on behalf of clients is limited, and its answers are remembered
// for a while. All methods may be called concurrently, and may block until the cluster answers.
package access
