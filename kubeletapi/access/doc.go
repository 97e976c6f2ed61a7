// Package access decides who may do what at the kubelet's API. [New] makes an Auth that asks the
// cluster. It verifies a client certificate with the authority of clients, a bearer token with a
// TokenReview, and the rights of a user with a SubjectAccessReview.
//
// The number of questions to the cluster on behalf of clients is limited, and answers are
// remembered for a while. All methods may be called concurrently, and may block until the cluster
// answers.
package access
