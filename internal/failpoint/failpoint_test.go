//go:build failpoints

package failpoint

import "testing"

func TestParse(t *testing.T) {
	type point struct {
		name, deed string
		left       int
	}
	for in, want := range map[string]point{
		"claim":           {name: "claim", left: 1},
		"claim-acked:3":   {name: "claim-acked", left: 3},
		"begun=freeze":    {name: "begun", deed: "freeze", left: 1},
		"begun:12=panic":  {name: "begun", deed: "panic", left: 12},
		"settled:2=kill":  {name: "settled", deed: "kill", left: 2},
		"batch-received:": {}, "x:0": {}, "x=sleep": {}, "X": {},
	} {
		t.Run(in, func(t *testing.T) {
			defer func() {
				if (recover() != nil) != (want.name == "") {
					t.Errorf("refused: %v", want.name != "")
				}
			}()
			if p := parse(in); p.name != want.name || p.deed != want.deed || p.left != want.left {
				t.Errorf("got %s, %s, %d", p.name, p.deed, p.left)
			}
		})
	}
}
