package bench

import (
	"os"
	"testing"

	"github.com/krustlet-go/krustlet-wasi/hack/testcluster"
	"github.com/krustlet-go/krustlet-wasi/hack/testnode"
)

func TestMain(m *testing.M) {
	code := testcluster.Main(m)
	testnode.RemoveBinary()
	os.Exit(code)
}
