// Package background runs programs for the tools of this project that start a cluster and a node.
// It keeps a program's output, so that a tool can wait for a line. Programs are ended in order.
package background
