package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/cmdline"
)

// kind is the type of a setting's value. It decides how a flag, a variable and the file write the
// value.
type kind int

const (
	text    kind = iota // JSON: a string
	number              // JSON: a whole number
	boolean             // true or false; a flag without a value means true
	list                // flag and variable: separated by commas; JSON: an array of strings
	object              // flag and variable: key=value, separated by commas; JSON: an object of strings
)

// form is how the configuration file writes a value of this kind. Messages use it.
func (k kind) form() string {
	return [...]string{
		text:    "a string",
		number:  "a whole number",
		boolean: "true or false",
		list:    `an array of strings, as in ["a", "b"]`,
		object:  `an object of strings, as in {"key": "value"}`,
	}[k]
}

// many reports whether the value is a collection. Repeated flags add to a collection, and an empty
// value is an empty collection.
func (k kind) many() bool { return k == list || k == object }

// setting is a row of the table. A user can set it by flag, variable or key. If one of them is
// empty, that way does not exist.
type setting struct {
	flag, short, env, key string

	group string // the heading in --help
	arg   string // the word for the value in --help
	usage string // what it means
	def   string // the default, in words
	kind  kind

	// shown is where /configz shows the setting. If /configz does not show it, notShown says why.
	shown    []shown
	notShown string

	// apply checks the given value and stores it.
	apply func(*Config, given) error
}

// name is the setting's name in this program: its flag, or its variable if it has no flag.
func (s setting) name() string {
	if s.flag == "" {
		return s.env
	}
	return s.flag
}

// asFlag is the setting as --help shows it.
func (s setting) asFlag() cmdline.Flag {
	return cmdline.Flag{Name: s.flag, Short: s.short, Env: s.env, Arg: s.arg, Usage: s.usage, Default: s.def, Boolean: s.kind == boolean}
}

// given is a setting's value as one source wrote it.
type given struct {
	from  string   // the source, for messages: "flag --port"
	text  string   // the value if it is a text, number or boolean
	items []string // the entries of a list, or of an object as key=value; not nil for these kinds
}

// The groups of --help, in order.
var groups = []string{groupNode, groupServer, groupCluster, groupStorage, groupImages, groupGuests, groupNetwork, groupNames, groupTracing, groupLogs}

const (
	groupNode    = "The node"
	groupServer  = "The kubelet API"
	groupCluster = "Joining the cluster"
	groupStorage = "Files and directories"
	groupImages  = "Images"
	groupGuests  = "Containers"
	groupNetwork = "Network"
	groupNames   = "Names"
	groupTracing = "Tracing"
	groupLogs    = "Logging"
)

// settings is the table of everything that a user can set, except --help and --version. It is the
// source of flags, variables, keys, --help and tests. Krustlet's settings keep their names, so that
// users can keep their scripts and configuration files.
func settings() []setting {
	var all []setting
	for _, part := range [][]setting{
		nodeSettings(), serverSettings(), accessSettings(), debugSettings(), clusterSettings(), storageSettings(), imageSettings(),
		guestSettings(), networkSettings(), nameSettings(), tracingSettings(), logSettings(),
	} {
		all = append(all, part...)
	}
	return all
}

// Flags are all settings as flags. One of them has only a variable.
func Flags() []cmdline.Flag {
	var all []cmdline.Flag
	for _, s := range settings() {
		all = append(all, s.asFlag())
	}
	return all
}

// FlagsOf are the flags with these names, in the order of the table.
func FlagsOf(names ...string) []cmdline.Flag {
	return slices.DeleteFunc(Flags(), func(f cmdline.Flag) bool { return f.Name == "" || !slices.Contains(names, f.Name) })
}

// Help is the part of --help about settings, by group.
func Help() string {
	var b strings.Builder
	for _, group := range groups {
		fmt.Fprintf(&b, "\n%s:\n", group)
		for _, s := range settings() {
			if s.group == group {
				b.WriteString(s.asFlag().Help())
			}
		}
	}
	return b.String()
}
