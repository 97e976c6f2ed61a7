// Package overlay gives a container its own root directory. At first it has the files of the
// container's image.
//
// If the agent may mount, the directory is an overlay of the kernel. Files that the guest writes
// are in a folder of the container. All other files are those of the image, which its containers
// share. If the agent may not mount, the directory is a copy. The copy takes no space on a file
// system that can clone files (btrfs, XFS). In both cases the image never changes.
//
// The mount stays when the agent ends. podsync/volume.Remove removes everything that Make made, in
// this agent or a later one.
package overlay
