package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// flagLocalModules is the one flag that can be written with a value behind a space, or without a value.
const flagLocalModules = "x-allow-local-modules"

// flagValues is what was written behind each flag, in order, by the flag's name without dashes.
type flagValues map[string][]string

// addTo defines a flag for each setting. Values are kept as they are written: load reads those of flags,
// variables and the file alike.
func (v flagValues) addTo(flags *pflag.FlagSet, settings []setting) {
	for _, s := range settings {
		if s.flag == "" {
			continue
		}
		f := flags.VarPF(rawFlag{values: v, name: s.flag, arg: s.arg}, s.flag, s.short, s.usage)
		if s.kind == boolean {
			f.NoOptDefVal = "true"
		}
	}
}

// rawFlag is the pflag.Value of a setting.
type rawFlag struct {
	values flagValues
	name   string
	arg    string
}

func (f rawFlag) String() string { return strings.Join(f.values[f.name], ",") }
func (f rawFlag) Type() string   { return f.arg }

func (f rawFlag) Set(value string) error {
	f.values[f.name] = append(f.values[f.name], value)
	return nil
}

// joinBoolean lets "--x-allow-local-modules true", which is how Krustlet wants it, mean the same as
// "--x-allow-local-modules=true", which is how pflag wants a flag that may go without a value. It looks no
// further than "--" or the name of a subcommand, whose arguments may be a guest's.
func joinBoolean(args, subcommands []string) []string {
	joined := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		if args[i] == "--" || slices.Contains(subcommands, args[i]) {
			return append(joined, args[i:]...)
		}
		if args[i] == "--"+flagLocalModules && i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false") {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
			continue
		}
		joined = append(joined, args[i])
	}
	return joined
}

// flagError puts pflag's errors into this program's words.
func flagError(err error, flags *pflag.FlagSet) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return badUsage(fmt.Errorf("unknown flag -%s", name))
		}
		var known []string
		flags.VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		return badUsage(fmt.Errorf("unknown flag --%s%s", name, didYouMean("--"+name, known)))
	case errors.As(err, &noValue):
		return badUsage(fmt.Errorf("flag --%s needs a value: --%[1]s=%s", noValue.GetFlag().Name, noValue.GetFlag().Value.Type()))
	}
	return badUsage(err)
}
