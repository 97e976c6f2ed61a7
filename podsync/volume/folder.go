package volume

import "fmt"

// Folder is the folder of the host with the files of a volume that is set up. Only volumes whose
// content comes from the API server have one: guests cannot write there. Its files change when
// their objects do. ok is false if the volume is not set up yet.
func (v *Volumes) Folder(volume string) (dir string, ok bool, err error) {
	m, ok := v.get(volume)
	if !ok {
		return "", false, nil
	}
	if m.kind.content == nil {
		return "", true, fmt.Errorf("volume %q has files that guests may write", volume)
	}
	return m.host, true, nil
}
