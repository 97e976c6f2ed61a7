// Package overlay gives a container a root directory of its own, which begins as that of its image.
//
// If the agent may mount, the directory is an overlay of the kernel: files that the guest writes
// are in a folder of the container, and all others are those of the image, which all its containers
// share. If the agent may not mount, the directory is a copy. The copy costs no space on a file
// system that can clone files (btrfs, XFS). In both cases the image is never changed.
//
// The mount stays when the agent ends. podsync/volume.Remove removes what Make made, in this agent
// or a later one.
package overlay
