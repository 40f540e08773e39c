package evidence_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"countersign/internal/evidence"
	"countersign/workflow"
)

func TestVerify_OldArchiveIsStillValid(t *testing.T) {
	if _, err := os.Stat(golden); *update && os.IsNotExist(err) {
		seal := newSeal(t, "Example Messaging")
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(golden, write(t, content(t, seal), seal), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := evidence.Verify(archive); err != nil || r.Entries != 3 || r.Seal == nil {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestVerify_SignedElsewhereIsReportedAsThat(t *testing.T) {
	seal := newSeal(t, "Example Messaging")
	c := content(t, seal)
	by := workflow.Asked{Writer: workflow.WriterUpstream, Source: "/sign2", Entry: 17}
	elsewhere(t, &c, by)
	r, err := evidence.Verify(write(t, c, seal))
	if err != nil || r.Signed != by || r.Seal != nil {
		t.Errorf("signed by %+v, seal %v, %v; want %+v and no seal", r.Signed, r.Seal, err, by)
	}
	c = content(t, seal)
	elsewhere(t, &c, workflow.Asked{Writer: workflow.WriterPage, Source: "/sign", Entry: 17})
	if _, err := evidence.Verify(write(t, c, seal)); err == nil || !strings.Contains(err.Error(), "the signing page asked for the signature in entry 17, and that entry does not") {
		t.Errorf("an upstream's entry passes for the page's: %v", err)
	}
}
