// Package overlay gives a container a root directory of its own that begins as that of its image.
//
// Where the agent may mount, it is an overlay of the kernel's: what the guest writes is in a folder of the container, and all
// else is the image's, shared by all its containers. Elsewhere it is a copy, which costs no space on a file system that can clone
// files (btrfs, XFS). Either way the image is never changed.
//
// The mount stays when the agent ends. podsync/volume.Remove removes what Make has made, in this agent or a later one.
package overlay
