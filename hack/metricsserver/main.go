// Command metricsserver is Kubernetes' metrics-server, which `kubectl top` asks, built from its own
// Go module. The tests run it against their nodes.
//
// It is a separate module, so that krustlet-wasi does not have its requirements.
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
