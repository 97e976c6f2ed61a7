// Package podfiles has the files of pods on the node's disk: folders, logs, notes for agents to
// come, and the files that each pod has of its own.
//
//	dirs.go        the folders of a pod, and of each run of its containers
//	roots.go       the root directory of a run
//	ownfiles.go    /etc/hosts, /etc/hostname and /etc/resolv.conf (hosts.go, resolvconf.go), and the termination log
//	lastwords.go   what a guest has said of its end
//	loglinks.go    links by which log shippers find logs
//	notes.go       where an agent notes what the next one needs
//	kept.go        what is noted: addresses, handler, images, and what runs
//	spent.go       and what the runs have used that have ended
//	ownstate.go    notes are written whole, and read as if others had written them
//	images.go      the images that notes say are in use
//	usage.go       what a pod takes of the disk, and its limits
package podfiles
