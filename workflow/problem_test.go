package workflow

import (
	"os"
	"regexp"
	"testing"
)

func TestCodes_ListsEveryCodeOnce(t *testing.T) {
	source, err := os.ReadFile("problem.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[Code]int{}
	for _, c := range Codes {
		listed[c]++
	}
	declared := regexp.MustCompile(`(?m)^\tCode\w+ +Code = "(\w+)"`).FindAllStringSubmatch(string(source), -1)
	for _, m := range declared {
		if n := listed[Code(m[1])]; n != 1 {
			t.Errorf("%s is listed %d times", m[1], n)
		}
	}
	if len(declared) != len(Codes) || len(declared) < 10 {
		t.Errorf("%d codes are declared, %d listed", len(declared), len(Codes))
	}
}
