package cmdline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/krustlet-go/krustlet-wasi/cmd/krustlet-wasi/exit"
)

// Flag is a flag as --help shows it. A user can set the value by the flag Name or by the variable
// Env. If one of them is empty, that way does not exist.
type Flag struct {
	Name, Short, Env string

	Arg     string // the word for the value in the help; empty: the help shows none
	Usage   string // what it means
	Default string // in words
	Boolean bool   // without a value it means true
}

// Values are the values that the user wrote, in order, by the name of the flag without dashes.
type Values map[string][]string

// Define defines the flags in the set. Values are kept as the user wrote them.
func (v Values) Define(set *pflag.FlagSet, flags ...Flag) {
	for _, f := range flags {
		if f.Name == "" {
			continue
		}
		defined := set.VarPF(rawValue{values: v, name: f.Name, arg: f.Arg}, f.Name, f.Short, f.Usage)
		if f.Boolean {
			defined.NoOptDefVal = "true"
		}
	}
}

// Last is the last value that the user wrote. It is the valid one if the flag has only one value.
// The user must have written the flag.
func (v Values) Last(name string) string {
	values := v[name]
	return values[len(values)-1]
}

// rawValue is the pflag.Value of a Flag.
type rawValue struct {
	values Values
	name   string
	arg    string
}

func (f rawValue) String() string { return strings.Join(f.values[f.name], ",") }
func (f rawValue) Type() string   { return f.arg }

func (f rawValue) Set(value string) error {
	f.values[f.name] = append(f.values[f.name], value)
	return nil
}

// JoinBoolean makes "--NAME true" mean the same as "--NAME=true". Krustlet's users write the first
// form, but pflag wants the second if a flag needs no value. JoinBoolean stops at "--" and at the
// name of a subcommand: later arguments may be a guest's.
func JoinBoolean(name string, args, subcommands []string) []string {
	joined := make([]string, 0, len(args))
	for i := 0; i < len(args); i++ {
		if args[i] == "--" || slices.Contains(subcommands, args[i]) {
			return append(joined, args[i:]...)
		}
		if args[i] == "--"+name && i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false") {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
			continue
		}
		joined = append(joined, args[i])
	}
	return joined
}

// FlagError turns pflag's errors into this program's words.
func FlagError(err error, flags *pflag.FlagSet) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	switch {
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			return exit.BadUsage(fmt.Errorf("unknown flag -%s", name))
		}
		var known []string
		flags.VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
		return exit.BadUsage(fmt.Errorf("unknown flag --%s%s", name, DidYouMean("--"+name, known)))
	case errors.As(err, &noValue):
		return exit.BadUsage(fmt.Errorf("flag --%s needs a value: --%[1]s=%s", noValue.GetFlag().Name, noValue.GetFlag().Value.Type()))
	}
	return exit.BadUsage(err)
}

// NoArguments is the cobra.PositionalArgs of a command with subcommands. It also reports a
// misspelled subcommand.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	return exit.BadUsage(fmt.Errorf("unknown argument %q%s", args[0], DidYouMean(args[0], known)))
}
