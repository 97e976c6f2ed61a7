package controlplane

import "testing"

func TestClustersHavePodRangesOfTheirOwn(t *testing.T) {
	first, err := takePodRange()
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	second, err := takePodRange()
	if err != nil {
		t.Fatal(err)
	}
	defer second.close()
	if first.Overlaps(second.Prefix) || !first.Addr().IsLoopback() || !second.Addr().IsLoopback() {
		t.Errorf("two clusters have %v and %v", first.Prefix, second.Prefix)
	}
}
