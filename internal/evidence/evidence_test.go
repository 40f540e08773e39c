package evidence_test

import (
	"archive/zip"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/events"
	"countersign/internal/eventlog"
	"countersign/internal/evidence"
	"countersign/internal/letter"
	"countersign/internal/loa"
	"countersign/internal/test/certtest"
	"countersign/workflow"
)

var update = flag.Bool("update", false, "write testdata/v1.zip where it is missing")

const (
	account = workflow.SID("ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	px      = workflow.SID("PX000102030405060708090a0b0c0d0e0f")
)

var at = time.Date(2026, 11, 24, 15, 4, 5, 0, time.UTC)

func newSeal(t testing.TB, name string) letter.Seal {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: at, NotAfter: at.AddDate(20, 0, 0)}
	certificate := certtest.Sign(t, template, key, template, key)
	return letter.Seal{Certificate: certificate, Key: key}
}

// content is a document that was created and signed.
func content(t testing.TB, seal letter.Seal) evidence.Content {
	t.Helper()
	pdf, err := letter.Write(letter.Content{
		Words: loa.Of("Example Messaging", "en"), Document: px, Provider: "Example Messaging", Email: "owner@example.com",
		Signed: &letter.Signature{Name: "Olivia Owner", At: at},
	})
	if err == nil {
		pdf, err = seal.Apply(pdf, at, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	d := workflow.Document{
		SID: px, AccountSID: account, Status: workflow.Signed, Round: 1, AddressSID: "AD000102030405060708090a0b0c0d0e0f", Email: "owner@example.com",
		CCEmails: []string{}, Orders: []workflow.Order{}, LetterDigest: sha256Of(pdf), DateCreated: at,
		AskedBy: workflow.Asked{Writer: workflow.WriterPage, Source: "/sign", Entry: 17}, DateUpdated: at, DateSigned: &at,
	}
	c := evidence.Content{
		Manifest: evidence.Manifest{Document: px, Account: account, Status: workflow.Signed, Stream: at.AddDate(0, 0, -1), Sequence: 40, Time: at.Add(time.Hour)},
		Life:     d, Mails: []map[string]any{{"id": px + ".1.signature.0", "smtp_reply": "2.0.0 Ok: queued as 4F2A <b>"}}, Letter: pdf,
	}
	for i, e := range []events.Event{
		events.Created("/orders", "c", account, px, workflow.Created{AddressSID: d.AddressSID, Email: d.Email, HostedNumberOrderSIDs: []workflow.SID{"HR000102030405060708090a0b0c0d0e0f"}}),
		events.StatusChanged("", "s", account, px, workflow.StatusChanged{Status: workflow.Signed, LetterDigest: d.LetterDigest, Round: 1}).By(workflow.WriterPage),
		eventlog.FromPending(workflow.PendingEvent{Account: account, Document: px, What: "became.signed.1", Body: workflow.Became{Document: d}, At: at}),
	} {
		m, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		c.Messages = append(c.Messages, events.Message{
			Sequence: uint64(7 + 10*i), Time: at.Add(time.Duration(i) * time.Second), Subject: m.Subject, Header: m.Header, Data: m.Data,
		})
	}
	return c
}

func write(t testing.TB, c evidence.Content, seal letter.Seal) []byte {
	t.Helper()
	archive, err := evidence.Write(c, seal.Sign)
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

func TestWrite_ArchiveIsReadAsWritten(t *testing.T) {
	seal := newSeal(t, "Example Messaging")
	c := content(t, seal)
	archive := write(t, c, seal)
	if !bytes.Equal(archive, write(t, c, seal)) {
		t.Error("the same content makes two archives")
	}
	r, err := evidence.Verify(archive)
	if err != nil {
		t.Fatal(err)
	}
	if r.Manifest.Document != px || r.Manifest.Sequence != 40 || r.Entries != 3 || r.Letter != sha256Of(c.Letter) ||
		!r.Signer.Equal(seal.Certificate) || !r.Seal.Equal(seal.Certificate) {
		t.Errorf("it reports %+v", r)
	}
	files := unzip(t, archive)
	if got := string(files["log/7.data"]); got != string(c.Messages[0].Data) {
		t.Errorf("the payload is not as it stood on the log: %s", got)
	}
	if head := string(files["log/17.head.json"]); !strings.Contains(head, `"sequence": 17`) || !strings.Contains(head, "Content-Type") || !strings.Contains(head, c.Messages[1].Subject) {
		t.Errorf("around it is %s", head)
	}
}

// TestVerify_EveryChangedByteIsNamed flips bytes of every file of an archive, and of
// what is between them.
func TestVerify_EveryChangedByteIsNamed(t *testing.T) {
	seal := newSeal(t, "Example Messaging")
	archive := write(t, content(t, seal), seal)
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	between := 0
	covered := make([]bool, len(archive))
	for _, f := range r.File {
		from, err := f.DataOffset()
		if err != nil {
			t.Fatal(err)
		}
		to := from + int64(f.CompressedSize64)
		for i := from; i < to; i++ {
			covered[i] = true
		}
		step := max(1, (to-from)/40)
		for i := from; i < to; i += step {
			err := broken(t, archive, int(i), f.Name)
			if err == nil || !strings.Contains(err.Error(), f.Name) {
				t.Errorf("byte %d, in %s: %v", i-from, f.Name, err)
			}
		}
	}
	for i := range archive {
		if covered[i] {
			continue
		}
		between++
		if broken(t, archive, i, "") == nil {
			t.Errorf("byte %d, in no file, flipped, and the archive is good", i)
		}
	}
	if between < 500 {
		t.Errorf("only %d bytes between the files", between)
	}
}

// broken is what is wrong with the archive where one byte is flipped, nil for
// nothing. In a file the ZIP's own checksum would tell; a forger has it right.
func broken(t *testing.T, archive []byte, i int, file string) error {
	t.Helper()
	b := bytes.Clone(archive)
	b[i] ^= 1
	if file != "" {
		b = forge(t, b, nil)
	}
	_, err := evidence.Verify(b)
	return err
}

// packed is a file of an archive.
type packed struct {
	name string
	data []byte
}

// forge packs the files of an archive again, with the right checksums, after
// they were changed.
func forge(t testing.TB, archive []byte, change func([]packed) []packed) []byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var files []packed
	for _, f := range r.File {
		raw, err := f.OpenRaw()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(raw)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, packed{f.Name, data})
	}
	if change != nil {
		files = change(files)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		to, err := w.CreateRaw(&zip.FileHeader{
			Name: f.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(f.data),
			CompressedSize64: uint64(len(f.data)), UncompressedSize64: uint64(len(f.data)),
		})
		if err == nil {
			_, err = to.Write(f.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestVerify_FileThatDoesNotFitIsNamed forges archives, with the right checksums.
func TestVerify_FileThatDoesNotFitIsNamed(t *testing.T) {
	seal, other := newSeal(t, "Example Messaging"), newSeal(t, "Example Messaging")
	c := content(t, seal)
	archive := write(t, c, seal)
	at := func(files []packed, name string) int {
		return slices.IndexFunc(files, func(f packed) bool { return f.name == name })
	}
	elsewhere := c
	elsewhere.Messages = slices.Clone(c.Messages)
	elsewhere.Messages[1].Subject = strings.Replace(c.Messages[1].Subject, string(px), "PXffffffffffffffffffffffffffffffff", 1)
	backwards := c
	backwards.Messages = slices.Clone(c.Messages)
	slices.Reverse(backwards.Messages)
	unsealed, another := c, c
	unsealed.Letter = bytes.Clone(c.Letter)
	unsealed.Letter[1000] ^= 1
	another.Letter, another.Messages = unsealed.Letter, slices.Clone(c.Messages)
	another.Messages[2].Data = bytes.ReplaceAll(another.Messages[2].Data, []byte(sha256Of(c.Letter)), []byte(sha256Of(unsealed.Letter)))
	for _, tt := range []struct {
		name    string
		archive []byte
		entry   int
		file    string
		what    string
	}{
		{"a file is missing", forge(t, archive, func(f []packed) []packed { i := at(f, "log/17.data"); return slices.Delete(f, i, i+1) }), 7, "log/17.data", "log/27.head.json stands in its place"},
		{"the last is missing", forge(t, archive, func(f []packed) []packed { return f[:len(f)-1] }), 9, "log/27.data", "missing from the archive"},
		{"one more", forge(t, archive, func(f []packed) []packed { return append(f, packed{"log/28.data", nil}) }), 0, "log/28.data", "does not list it"},
		{"one more in between", forge(t, archive, func(f []packed) []packed { return slices.Insert(f, 4, packed{"x", nil}) }), 3, "letter.pdf", "x stands in its place"},
		{"two in another order", forge(t, archive, func(f []packed) []packed { f[2], f[3] = f[3], f[2]; return f }), 1, "document.json", "mails.json stands in its place"},
		{"longer", forge(t, archive, func(f []packed) []packed { f[3].data = append(f[3].data, ' '); return f }), 2, "mails.json", "the manifest says"},
		{"no manifest", forge(t, archive, func(f []packed) []packed { return f[1:] }), 0, "manifest.json", "missing"},
		{"no signature", forge(t, archive, func(f []packed) []packed { return slices.Delete(f, 1, 2) }), 0, "manifest.p7s", "missing"},
		{"nothing", forge(t, archive, func([]packed) []packed { return nil }), 0, "manifest.json", "missing"},
		{"another's signature of another manifest", forge(t, archive, func(f []packed) []packed {
			f[1].data, _ = other.Sign([]byte("{}"))
			return f
		}), 0, "manifest.p7s", "of other content"},
		{"a line and its file are left out of the manifest, which is signed by nobody again", forge(t, archive, func(f []packed) []packed {
			var m evidence.Manifest
			_ = json.Unmarshal(f[0].data, &m)
			m.Files = m.Files[:len(m.Files)-1]
			f[0].data, _ = json.Marshal(m)
			return f[:len(f)-1]
		}), 0, "manifest.p7s", "of other content"},
		{"a line is left out of the manifest, and it is signed", forge(t, archive, func(f []packed) []packed {
			var m evidence.Manifest
			_ = json.Unmarshal(f[0].data, &m)
			m.Files = slices.Delete(m.Files, 1, 2)
			f[0].data, _ = json.Marshal(m)
			f[1].data, _ = seal.Sign(f[0].data)
			return slices.Delete(f, 3, 4)
		}), 2, "letter.pdf", "does not follow from the lines before"},
		{"another format", forge(t, archive, func(f []packed) []packed {
			f[0].data = bytes.Replace(f[0].data, []byte("evidence 1"), []byte("evidence 2"), 1)
			return f
		}), 0, "manifest.json", `this program knows "countersign evidence 1"`},
		{"an entry of another document", write(t, elsewhere, seal), 6, "log/17.head.json", "another document"},
		{"entries backwards", write(t, backwards, seal), 6, "log/17.head.json", "not between"},
		{"another letter than the log's", write(t, unsealed, seal), 3, "letter.pdf", "the log says that the letter with " + sha256Of(c.Letter)},
		{"a letter whose seal is broken", write(t, another, seal), 3, "letter.pdf", "its seal: the signature is of other content"},
		{"packed otherwise", append(bytes.Clone(archive), 0), 0, "", ""},
		{"no archive", []byte("PK"), 0, "", "not a valid zip file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := evidence.Verify(tt.archive)
			var fault *evidence.Fault
			if !errors.As(err, &fault) || fault.Entry != tt.entry || fault.File != tt.file || !strings.Contains(fault.What, tt.what) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestVerify_ErasedDocument(t *testing.T) {
	seal := newSeal(t, "Example Messaging")
	m, err := eventlog.Erased(at, workflow.Erased{DocumentSID: px, AccountSID: account, Status: workflow.Signed, Round: 1, Entries: []workflow.ErasedEntry{}}).Message()
	if err != nil {
		t.Fatal(err)
	}
	c := evidence.Content{
		Manifest: evidence.Manifest{Document: px, Account: account, Status: workflow.Signed, Erased: 50, Sequence: 60, Stream: at, Time: at},
		Messages: []events.Message{{Sequence: 50, Time: at, Subject: m.Subject, Header: m.Header, Data: m.Data}},
	}
	r, err := evidence.Verify(write(t, c, seal))
	if err != nil || r.Manifest.Erased != 50 || r.Entries != 1 || r.Letter != "" || r.Seal != nil {
		t.Errorf("%+v, %v", r, err)
	}
}

// golden is an archive of the first version; every later version must read it.
var golden = filepath.Join("testdata", "v1.zip")

// FuzzVerify looks for archives that end it in another way than a fault or a
// report, and for changed ones that are good.
func FuzzVerify(f *testing.F) {
	archive, err := os.ReadFile(golden)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(archive)
	f.Add(archive[:len(archive)/2])
	f.Add([]byte("PK\x05\x06" + strings.Repeat("\x00", 18)))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := evidence.Verify(b)
		var fault *evidence.Fault
		if err != nil && !errors.As(err, &fault) {
			t.Errorf("not a fault: %v", err)
		}
		if err == nil && !bytes.Equal(b, archive) && len(b) == len(archive) {
			t.Error("a changed archive is good")
		}
	})
}

func unzip(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	forge(t, archive, func(files []packed) []packed {
		for _, f := range files {
			out[f.name] = f.data
		}
		return files
	})
	return out
}

func sha256Of(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// elsewhere is a document that an upstream service calls signed, with evidence
// that looks like the page's.
func elsewhere(t *testing.T, c *evidence.Content, asked workflow.Asked) {
	t.Helper()
	said := events.StatusChanged("/sign2", "s", account, px, workflow.StatusChanged{
		Status: workflow.Signed, LetterDigest: sha256Of(c.Letter), Evidence: json.RawMessage(`{"name":"Olivia Owner","ip":"192.0.2.1"}`),
	})
	d := c.Life.(workflow.Document)
	d.AskedBy = asked
	c.Life = d
	became := eventlog.FromPending(workflow.PendingEvent{Account: account, Document: px, What: "became.signed.1", Body: workflow.Became{Document: d}, At: at})
	for i, e := range map[int]events.Event{1: said, 2: became} {
		m, err := e.Message()
		if err != nil {
			t.Fatal(err)
		}
		c.Messages[i].Subject, c.Messages[i].Header, c.Messages[i].Data = m.Subject, m.Header, m.Data
	}
	c.Letter = nil
}
