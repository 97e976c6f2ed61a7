// Package tlsbootstrap gets, keeps and renews the two certificates of a node. The node uses the
// client certificate to talk to the API server. The serving certificate is for the node's HTTPS
// API.
//
// Order. Join comes first. It needs only files; it needs the API server only if there is no usable
// kubeconfig yet. NewServing takes a client made from the result of Join. Identity.Run and
// Serving.Run renew the certificates. Each blocks until its context ends. The caller starts them
// and waits for them.
//
// Files. The package replaces only files that it wrote. The first line of a kubeconfig or a
// certificate file says that (see marker); a file without that line is only read. Every file is
// written under another name in the same folder and then renamed. Keys have mode 0600. A private
// key is stored before its certificate signing request (CSR) is created, under the path of the key
// file with the suffix ".pending". So a restart in the middle finds its CSR again.
//
// CSRs. A CSR has a short name that a person can type. Another CSR, with another key or other
// names, may have that name. It is deleted if the API server allows that. Nodes usually may not
// delete it, and then our CSR is called NAME-HASH. HASH comes from our public key, so a restart
// finds this CSR, too. A request goes on after an outage of the API server, and after its CSR was
// deleted. A CSR that an approver denied, or that the signer failed, becomes a *RefusedError.
//
// client-go's certificate.Manager is not used. It gives CSRs random names, so the agent could not
// tell a person which CSR to approve. It also makes a new CSR every 15 minutes.
package tlsbootstrap
