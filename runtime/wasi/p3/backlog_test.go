package p3_test

import "golang.org/x/sys/unix"

// backlog lets a listening socket have no connections that wait, but one.
func backlog(fd int) error { return unix.Listen(fd, 0) }
