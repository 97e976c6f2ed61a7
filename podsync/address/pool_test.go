package address

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

func ranges(t testing.TB, cidrs ...string) []netip.Prefix {
	t.Helper()
	all, err := ParseRanges(cidrs)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func pool(t testing.TB, cidrs ...string) *Pool {
	t.Helper()
	var p Pool
	p.Serve(ranges(t, cidrs...))
	return &p
}

func take(t testing.TB, p *Pool, owner string) string {
	t.Helper()
	a, err := p.Take(owner)
	if err != nil {
		t.Fatalf("%s: %v", owner, err)
	}
	return fmt.Sprint(a)
}

func TestPoolGivesEachAddressOnce(t *testing.T) {
	p := pool(t, "10.0.0.0/29", "fd00::/64")
	var got []string
	for i := range 6 {
		got = append(got, take(t, p, fmt.Sprint("pod", i)))
	}
	want := []string{"[10.0.0.1 fd00::1]", "[10.0.0.2 fd00::2]", "[10.0.0.3 fd00::3]", "[10.0.0.4 fd00::4]", "[10.0.0.5 fd00::5]", "[10.0.0.6 fd00::6]"}
	if !slices.Equal(got, want) {
		t.Fatalf("gave %v, want %v", got, want)
	}
	if again := take(t, p, "pod3"); again != want[3] {
		t.Errorf("an owner that has %s was given %s", want[3], again)
	}
	_, err := p.Take("late")
	if !errors.Is(err, ErrExhausted) || err.Error() != "no address is free: all 6 of 10.0.0.0/29 are in use" {
		t.Errorf("out of an exhausted pool: %v", err)
	}
	p.Release("pod1")
	if late := take(t, p, "late"); late != "[10.0.0.2 fd00::7]" {
		t.Errorf("once one was free: %s", late)
	}
}

func TestPoolRotates(t *testing.T) {
	p := pool(t, "10.0.0.0/29")
	var got []string
	for i := range 8 {
		owner := fmt.Sprint("pod", i)
		got = append(got, take(t, p, owner))
		p.Release(owner)
	}
	want := []string{"[10.0.0.1]", "[10.0.0.2]", "[10.0.0.3]", "[10.0.0.4]", "[10.0.0.5]", "[10.0.0.6]", "[10.0.0.1]", "[10.0.0.2]"}
	if !slices.Equal(got, want) {
		t.Errorf("gave %v, want %v", got, want)
	}
}

func TestPoolKeepsWhatPodsHaveFromBefore(t *testing.T) {
	p := pool(t, "10.0.0.0/29")
	before, _ := Parse([]string{"10.0.0.4"})
	elsewhere, _ := Parse([]string{"192.0.2.9"})
	if !p.Keep("old", before) || !p.Keep("older", elsewhere) {
		t.Fatal("free addresses were not kept")
	}
	if p.Keep("thief", before) {
		t.Error("an address was kept for two")
	}
	if got := take(t, p, "new"); got != "[10.0.0.5]" {
		t.Errorf("the first one after a restart is %s", got)
	}
	if got := take(t, p, "old"); got != "[10.0.0.4]" {
		t.Errorf("the old owner was given %s", got)
	}
}

func TestPoolOfOddRanges(t *testing.T) {
	for cidr, want := range map[string][]string{
		"10.0.0.7/32":      {"[10.0.0.7]"},
		"10.0.0.4/31":      {"[10.0.0.5]", "[10.0.0.4]"},
		"10.0.0.8/30":      {"[10.0.0.9]", "[10.0.0.10]"},
		"fd00::c/126":      {"[fd00::d]", "[fd00::e]", "[fd00::f]"},
		"255.255.255.0/24": {"[255.255.255.1]"},
	} {
		p := pool(t, cidr)
		for i, w := range want {
			if got := take(t, p, fmt.Sprint(i)); got != w {
				t.Errorf("%s: address %d is %s, want %s", cidr, i, got, w)
			}
		}
	}
	var none Pool
	if got, err := none.Take("pod"); len(got) > 0 || err != nil {
		t.Errorf("a pool without ranges gave %v, %v", got, err)
	}
}

func TestParseRanges(t *testing.T) {
	for _, bad := range [][]string{{"10.0.0.1"}, {"x"}, {"10.0.0.0/8", "11.0.0.0/8"}, {"fd00::/64", "fd01::/64"}, {""}} {
		if got, err := ParseRanges(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
	if got := fmt.Sprint(ranges(t, "10.1.2.3/24", "fd00::1/64")); got != "[10.1.2.0/24 fd00::/64]" {
		t.Errorf("%s", got)
	}
}

// FuzzPool takes and releases addresses at random. It checks that no address has two owners, that
// no owner has the network's address, and that a pool is exhausted only when all addresses are in
// use.
func FuzzPool(f *testing.F) {
	f.Add(byte(29), []byte{1, 2, 3, 4, 5, 6, 7, 0x81, 9, 0x41, 10})
	f.Add(byte(31), []byte{1, 2, 3, 0x82, 4, 0x81, 5})
	f.Add(byte(126), []byte{1, 2, 3, 4, 0x83, 4, 0xc1, 5, 6})
	f.Fuzz(func(t *testing.T, bits byte, script []byte) {
		r, size := netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 26+int(bits%7)), 0
		if bits >= 120 {
			r = netip.PrefixFrom(netip.MustParseAddr("fd00::"), 122+int(bits%7))
		}
		for a := r.Addr(); r.Contains(a); a = a.Next() {
			if usable(r, a) {
				size++
			}
		}
		var p Pool
		p.Serve([]netip.Prefix{r})
		has := map[string]netip.Addr{}
		for _, b := range script {
			owner := fmt.Sprint(b & 0x3f)
			switch b >> 6 {
			case 2:
				p.Release(owner)
				delete(has, owner)
			case 3: // another process, whose Keep gets the addresses of the pods
				p = Pool{}
				p.Serve([]netip.Prefix{r})
				for o, a := range has {
					if !p.Keep(o, []netip.Addr{a}) {
						t.Fatalf("%s cannot keep %s", o, a)
					}
				}
			default:
				a, err := p.Take(owner)
				if err != nil {
					if _, is := has[owner]; is || len(has) < size {
						t.Fatalf("%s: %v, and %d of %d are taken", owner, err, len(has), size)
					}
					continue
				}
				for o, other := range has {
					if (o == owner) != (other == a[0]) {
						t.Fatalf("%s has %s, and %s was given %s", o, other, owner, a[0])
					}
				}
				if !r.Contains(a[0]) || !usable(r, a[0]) {
					t.Fatalf("%s is no pod's address in %s", a[0], r)
				}
				has[owner] = a[0]
			}
		}
	})
}
