// Package tlsbootstrap gets, keeps and renews the two certificates of a node: the client
// certificate with which it talks to the API server, and the serving certificate of its HTTPS API.
//
// Order. Join comes first: it needs only files, and the API server if there is no usable kubeconfig
// yet. NewServing takes a client made from what Join returned. Identity.Run and Serving.Run renew;
// each blocks until its context ends and belongs to the caller, who waits for it.
//
// Files. Nothing is written that was not made here: a kubeconfig or a certificate file carries a
// first line that says so (see marker), and without it the file is only read. Every file is written
// beside its final name and renamed, keys with mode 0600. A private key is stored before its
// certificate signing request (CSR) is created, beside the file that it is meant for with the
// suffix ".pending", so that a restart in the middle finds its CSR again.
//
// CSRs. A CSR has a plain name that a person can type. If an object of that name exists and is not
// ours (other key, other names), it is deleted where the API server allows that; nodes usually may
// not, and then the CSR is called NAME-HASH, HASH being taken from our public key, so that it too
// is found again after a restart. Requests survive an API server that goes away and CSRs that are
// deleted. A CSR that was denied, or that the signer failed, is a *RefusedError.
//
// client-go's certificate.Manager is not used: it gives CSRs random names, so the agent could not
// tell the operator which one to approve, and makes a new one every 15 minutes.
package tlsbootstrap
