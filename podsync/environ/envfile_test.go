package environ

import (
	"io"
	"io/fs"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/krustlet-go/krustlet-wasi/hack/testpod"
)

func TestEnvFileValue(t *testing.T) {
	for name, tt := range map[string]struct {
		text, want string
		missing    bool
		err        string
	}{
		"one":              {text: "K='v'\n", want: "v"},
		"no end of line":   {text: "K='v'", want: "v"},
		"among others":     {text: "# first\n\nA='1'\n \tK='v' # mine\nB='2'\n", want: "v"},
		"the first counts": {text: "K='v'\nK='w'\n", want: "v"},
		"empty":            {text: "K=''\n", want: ""},
		"over lines":       {text: "A='1\n2'\nK='a\n\n b#'\n", want: "a\n\n b#"},
		"of Windows":       {text: "A='1'\r\nK='v'\r\n", want: "v"},
		"nothing expands":  {text: `K='$A \n "x"'`, want: `$A \n "x"`},
		"an = inside":      {text: "A='=K=1'\nK='a='\n", want: "a="},
		"blanks first":     {text: "K=  'v'\n", want: ""},
		"others' blanks":   {text: "A=  'v'\nK='v'\n", want: "v"},
		"missing":          {text: "A='1'\n", missing: true},
		"no file at all":   {text: "", missing: true},
		"case counts":      {text: "k='v'\n", missing: true},
		"no =":             {text: "A='1'\nK\n", err: "line 2: there is no '='"},
		"no name":          {text: "='v'\n", err: "line 1: there is no name before '='"},
		"blank before =":   {text: "K ='v'\n", err: "line 1: there is a blank before '='"},
		"no quotes":        {text: "A='\n\n'\nK=v\n", err: "line 4: the value is not in single quotes"},
		"other quotes":     {text: `K="v"`, err: "line 1: the value is not in single quotes"},
		"not closed":       {text: "A='1'\nK='v\nB=2\n", err: "line 2: the single quote is not closed"},
		"more behind":      {text: "K='v'w\n", err: "line 1: something follows the closing quote"},
		"wrong further on": {text: "K='v'\nrubbish\n", want: "v"},
	} {
		t.Run(name, func(t *testing.T) {
			got, found, err := envFileValue(tt.text, "K")
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || found == tt.missing || got != tt.want {
				t.Fatalf("%q, %v, %v", got, found, err)
			}
		})
	}
}

func FuzzEnvFileValue(f *testing.F) {
	f.Add("A='1'\n# x\nK='v\nw' # y\n", "K")
	f.Add("K=  'v'\nK", "K")
	f.Fuzz(func(t *testing.T, text, key string) {
		value, found, err := envFileValue(text, key)
		if err != nil && (found || value != "") || strings.Contains(value, "'") {
			t.Errorf("%q, %v, %v", value, found, err)
		}
	})
}

// files are a pod's volumes for tests, by VOLUME/PATH.
type files map[string]string

func (f files) Open(volume, path string) (io.ReadCloser, error) {
	text, ok := f[volume+"/"+path]
	if !ok {
		return nil, &fs.PathError{Op: "openat", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func TestEnvironmentFromFiles(t *testing.T) {
	have := files{"data/env": "A='1'\n", "data/large": strings.Repeat("#\n", envFileLimit/2) + "A='1'"}
	for name, tt := range map[string]struct {
		ref       corev1.FileKeySelector
		want, err string
	}{
		"there":             {corev1.FileKeySelector{VolumeName: "data", Path: "env", Key: "A"}, "V=1", ""},
		"no key":            {corev1.FileKeySelector{VolumeName: "data", Path: "env", Key: "B"}, "", `environment variable key "B" not found in file "env" of volume "data"`},
		"no key, optional":  {corev1.FileKeySelector{VolumeName: "data", Path: "env", Key: "B", Optional: ptr.To(true)}, "", ""},
		"no file":           {corev1.FileKeySelector{VolumeName: "data", Path: "none", Key: "A"}, "", `couldn't open env file "none" of volume "data": openat none: file does not exist`},
		"no file, optional": {corev1.FileKeySelector{VolumeName: "data", Path: "none", Key: "A", Optional: ptr.To(true)}, "", ""},
		"too large":         {corev1.FileKeySelector{VolumeName: "data", Path: "large", Key: "A"}, "", `couldn't parse env file "large" of volume "data": it is larger than 1048576 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			pod := testpod.New(corev1.RestartPolicyAlways, "a")
			c := &pod.Spec.Containers[0]
			c.Env = []corev1.EnvVar{{Name: "V", ValueFrom: &corev1.EnvVarSource{FileKeyRef: &tt.ref}}}
			env, err := Of(t.Context(), pod, c, Sources{Files: have})
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			got := ""
			if v, ok := lookup(env, "V"); ok {
				got = "V=" + v
			}
			if err != nil || got != tt.want {
				t.Fatalf("%q, %v", got, err)
			}
		})
	}
}
