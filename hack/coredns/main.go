// Command coredns is CoreDNS, the name server of most clusters, with the plugins that tests need,
// built from its own Go module.
//
// It is a separate module, so that krustlet-wasi does not have its requirements.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/hosts"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"

	"github.com/coredns/coredns/coremain"
)

func main() { coremain.Run() }
