package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"time"
)

// agnhost runs a subcommand of agnhost.
func agnhost(args []string) int {
	subcommand := "pause"
	var rest []string
	if len(args) > 1 {
		subcommand, rest = args[1], args[2:]
	}
	flags := flag.NewFlagSet(subcommand, flag.ContinueOnError)
	var start func(*flag.FlagSet) func() int
	switch subcommand {
	case "pause":
		start = func(*flag.FlagSet) func() int { return pause }
	case "entrypoint-tester":
		fmt.Printf("%v\n", args)
		return 0
	case "etc-hosts":
		return printFile("/etc/hosts")
	case "dns-suffix":
		return printOfResolvConf(func(q question) []string { return q.suffixes })
	case "dns-server-list":
		return printOfResolvConf(func(q question) []string { return q.servers })
	case "mounttest":
		start = mounttest
	case "logs-generator":
		start = generateLogs
	case "liveness":
		start = liveness
	case "test-webserver":
		start = testWebServer
	case "serve-hostname":
		start = serveHostname
	case "netexec":
		start = netexec
	case "connect":
		start = connectTo
	case "porter":
		start = porter
	case "grpc-health-checking":
		start = grpcHealth
	case "fake-registry-server":
		start = fakeRegistry
	default:
		fmt.Fprintf(os.Stderr, "agnhost: %s is not among the subcommands that were built for WASI\n", subcommand)
		return 1
	}
	run := start(flags)
	if err := parseAnywhere(flags, rest); err != nil {
		return 1
	}
	return run()
}

// parseAnywhere reads flags that may come after other arguments. Those remain in flags.Args.
func parseAnywhere(flags *flag.FlagSet, args []string) error {
	others := []string{"--"}
	for {
		if err := flags.Parse(args); err != nil {
			return err
		}
		if flags.NArg() == 0 {
			return flags.Parse(others)
		}
		others, args = append(others, flags.Arg(0)), flags.Args()[1:]
	}
}

func printFile(path string) int {
	content, err := os.ReadFile(path)
	if err != nil {
		fmt.Fprintln(os.Stderr, "agnhost:", err)
		return 1
	}
	fmt.Println(string(content))
	return 0
}

// generateLogs writes lines at a steady rate.
func generateLogs(flags *flag.FlagSet) func() int {
	total := flags.Int("log-lines-total", 0, "how many lines")
	flags.IntVar(total, "t", 0, "how many lines")
	duration := flags.Duration("run-duration", 0, "in what time")
	flags.DurationVar(duration, "d", 0, "in what time")
	return func() int {
		if *total <= 0 || *duration <= 0 {
			fmt.Fprintln(os.Stderr, "agnhost: a number of lines and a duration are needed")
			return 1
		}
		tick := time.NewTicker(*duration / time.Duration(*total))
		defer tick.Stop()
		for line := range *total {
			log.Printf("%d GET /api/v1/namespaces/default/pods/%x %d", line, rand.Uint32(), 200+rand.IntN(400))
			<-tick.C
		}
		return 0
	}
}
