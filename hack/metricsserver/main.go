// Command metricsserver is Kubernetes' metrics-server, built from its own Go module, which `kubectl
// top` asks. The tests run it against nodes of theirs.
//
// It is a module of its own, so that its requirements stay out of krustlet-wasi's.
package main

import (
	"os"

	"k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

func main() {
	os.Exit(cli.Run(app.NewMetricsServerCommand(server.SetupSignalHandler())))
}
