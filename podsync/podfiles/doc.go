// Package podfiles has the files of pods on the node's disk: folders, logs, notes for later agents,
// and the files that each pod has of its own.
//
//	dirs.go        the folders of a pod, and of each run of its containers
//	roots.go       the root directory of a run
//	ownfiles.go    /etc/hosts, /etc/hostname, /etc/resolv.conf and the termination log (hosts.go, resolvconf.go)
//	names.go       how names are looked up for the guests: as those files say
//	lastwords.go   termination messages of guests
//	loglinks.go    links by which log shippers find logs
//	notes.go       the files in which an agent notes what the next one needs
//	kept.go        notes of addresses, handler, images and runs
//	spent.go       notes of what ended runs have used
//	ownstate.go    notes are written atomically, and read as if others had written them
//	images.go      the images that are in use according to notes
//	usage.go       what a pod takes of the disk, and its limits
package podfiles
