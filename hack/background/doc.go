// Package background runs programs beside the one that starts them, for the tools of this project
// that bring up a cluster and a node: a program's output is kept, may be waited for, and each
// program is ended in order.
package background
