package catcher_test

import (
	"slices"
	"testing"

	"countersign/internal/catcher"
)

func TestListen_OffersWhatIsNotHidden(t *testing.T) {
	for name, hidden := range map[string][]catcher.Extension{
		"all": nil, "none": {catcher.Pipelining, catcher.Chunking}, "groups": {catcher.Chunking},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, start(t, hidden...))
			for _, e := range []catcher.Extension{catcher.Pipelining, catcher.Chunking, "8BITMIME"} {
				if offered, _ := client.Extension(string(e)); offered == slices.Contains(hidden, e) {
					t.Errorf("%s: offered %t", e, offered)
				}
			}
		})
	}
}
