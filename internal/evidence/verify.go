package evidence

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"countersign/events"
	"countersign/internal/letter"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Report is what an archive proves.
type Report struct {
	Manifest Manifest
	Signer   *x509.Certificate // of the manifest
	Seal     *x509.Certificate // of the letter, nil if there is none
	Stamped  time.Time         // of the seal, by a time-stamp authority; zero if it has no time stamp
	Entries  int               // of the log
	Signed   workflow.Asked    // who asked for the signature, as the log proves; zero if the document is not signed
	Letter   string            // the letter's digest as the log has it, "sha256:…"; empty if the log has none
}

// Fault is the first fault in an archive.
type Fault struct {
	Entry int    // its place in the manifest, from 1 on; 0 for the manifest, its signature and the archive itself
	File  string // its name; empty if it is the archive itself
	What  string
}

// Error names the file. It is one line that a terminal can show: whoever made the
// archive chose the names in it.
func (f *Fault) Error() string {
	name, what := terminal.Short(f.File, longestName), terminal.Escape(f.What)
	switch {
	case f.File == "":
		return "the archive: " + what
	case f.Entry == 0:
		return name + ": " + what
	}
	return fmt.Sprintf("entry %d, %s: %s", f.Entry, name, what)
}

// Verify checks an archive to its last byte: the signature of the manifest,
// the chain of its lines, each file, that the log's entries are of the
// document and in order, and that the letter is the one that was signed and has
// a seal. It fails with a *Fault.
func Verify(archive []byte) (Report, error) {
	files, err := unpack(archive)
	if err != nil {
		return Report{}, &Fault{What: err.Error()}
	}
	v := verification{files: files}
	for _, step := range []func() error{v.manifest, v.chain, v.log, v.letter} {
		if err := step(); err != nil {
			return v.report, err
		}
	}
	again, err := pack(files)
	if err != nil || !bytes.Equal(again, archive) {
		return v.report, &Fault{What: "it has bytes that are in none of its files, or was packed by another program"}
	}
	return v.report, nil
}

type verification struct {
	files  []packed
	report Report
}

// manifest reads the manifest, and checks its signature.
func (v *verification) manifest() error {
	for i, name := range []string{ManifestFile, SignatureFile} {
		if len(v.files) <= i || v.files[i].name != name {
			return &Fault{File: name, What: "it is missing, or not in its place"}
		}
	}
	text, m := v.files[0].data, &v.report.Manifest
	if err := json.Unmarshal(text, m); err != nil {
		return &Fault{File: ManifestFile, What: "it cannot be read: " + err.Error()}
	}
	if m.Format != Format {
		return &Fault{File: ManifestFile, What: fmt.Sprintf("its format is %s; this program knows %q", terminal.Short(m.Format, longestName), Format)}
	}
	if what := m.fault(); what != "" {
		return &Fault{File: ManifestFile, What: what}
	}
	var err error
	if v.report.Signer, err = letter.CheckSignature(text, v.files[1].data); err != nil {
		return &Fault{File: SignatureFile, What: fmt.Sprintf("it does not sign %s as it stands: %v", ManifestFile, err)}
	}
	return nil
}

var (
	documentPattern = regexp.MustCompile("^PX" + events.SIDPattern + "$")
	accountPattern  = regexp.MustCompile("^AC" + events.SIDPattern + "$")
	digestPattern   = regexp.MustCompile("^sha256:[0-9a-f]{64}$")
)

// fault returns what in a manifest this program never writes, "" if there is no
// such thing.
func (m Manifest) fault() string {
	switch {
	case !documentPattern.MatchString(string(m.Document)):
		return "its authorization_document_sid must be PX and 32 hex digits"
	case !accountPattern.MatchString(string(m.Account)):
		return "its account_sid must be AC and 32 hex digits"
	case !slices.Contains(workflow.Statuses, m.Status):
		return "its status is not one that a document can have"
	}
	return ""
}

// chain checks each line of the manifest, and the file that it is about.
func (v *verification) chain() error {
	m, files := v.report.Manifest, v.files[2:]
	before := first(m)
	for i, line := range m.Files {
		fault := func(what string) error { return &Fault{i + 1, line.Name, what} }
		switch {
		case line.Link != link(before, line):
			return fault("its link in the manifest does not follow from the lines before")
		case i >= len(files):
			return fault("it is missing from the archive")
		case files[i].name != line.Name:
			return fault(fmt.Sprintf("%s stands in its place", files[i].name))
		case len(files[i].data) != line.Size:
			return fault(fmt.Sprintf("it has %d bytes, and the manifest says %d", len(files[i].data), line.Size))
		case digest(files[i].data) != line.SHA256:
			return fault("its bytes do not have the digest that the manifest says")
		}
		before = line.Link
	}
	if len(files) > len(m.Files) {
		return &Fault{File: files[len(m.Files)].name, What: "the manifest does not list it"}
	}
	return nil
}

// log checks that the log's entries are the document's, and in order, and finds
// the letter's digest in them.
func (v *verification) log() error {
	m, files := v.report.Manifest, v.files[2:]
	last, asked := uint64(0), map[uint64]workflow.Entry{}
	var unproven error
	for i := 0; i < len(files); i++ {
		if !strings.HasPrefix(files[i].name, logFolder) {
			continue
		}
		fault := func(what string) error { return &Fault{i + 1, files[i].name, what} }
		var h head
		switch err := json.Unmarshal(files[i].data, &h); {
		case err != nil || files[i].name != headFile(h.Sequence):
			return fault("it is not the head of an entry")
		case h.Sequence <= last || h.Sequence > m.Sequence:
			return fault(fmt.Sprintf("its sequence is not between %d and %d", last+1, m.Sequence))
		case !about(h.Subject, m.Document):
			return fault("it is about another document")
		case i+1 >= len(files) || files[i+1].name != dataFile(h.Sequence):
			return fault("its payload is not behind it")
		}
		last = h.Sequence
		i++
		v.report.Entries++
		e := events.Decode(events.Message{Sequence: h.Sequence, Time: h.Time, Subject: h.Subject, Header: h.Header, Data: files[i].data})
		asked[h.Sequence] = e
		if b, ok := e.Body.(workflow.Became); ok && b.Status == workflow.Signed {
			v.report.Letter, v.report.Signed = b.LetterDigest, b.AskedBy
			if b.LetterDigest != "" && !digestPattern.MatchString(b.LetterDigest) {
				return fault("its letter_digest must be sha256: and 64 hex digits")
			}
			unproven = nil
			if !v.askedFor(asked[b.AskedBy.Entry]) {
				by := terminal.Short(fmt.Sprint(b.AskedBy), longestName)
				unproven = fault(fmt.Sprintf("it says that %s asked for the signature in entry %d, and that entry does not", by, b.AskedBy.Entry))
			}
		}
	}
	return unproven
}

// askedFor reports whether an entry is the one that asked for the signature.
func (v *verification) askedFor(e workflow.Entry) bool {
	b, ok := e.Body.(workflow.StatusChanged)
	by := v.report.Signed
	return ok && b.Status == workflow.Signed && e.Writer() == by.Writer && e.Source == by.Source
}

func about(subject string, document workflow.SID) bool {
	tokens := strings.Split(strings.TrimPrefix(subject, events.Prefix), ".")
	return strings.HasPrefix(subject, events.Prefix) && len(tokens) > 1 && tokens[1] == string(document)
}

// letter checks that the letter is the one that was signed, and its seal.
func (v *verification) letter() error {
	for i, f := range v.files[2:] {
		if f.name != LetterFile {
			continue
		}
		fault := func(what string) error { return &Fault{i + 1, f.name, what} }
		if want := "sha256:" + digest(f.data); v.report.Letter != want {
			return fault(fmt.Sprintf("its digest is %s, and the log says that %s was signed", want, orNone(v.report.Letter)))
		}
		sealed, err := letter.Check(f.data)
		if err != nil {
			return fault("its seal: " + err.Error())
		}
		v.report.Seal, v.report.Stamped = sealed.Certificate, sealed.Stamped
	}
	return nil
}

func orNone(digest string) string {
	if digest == "" {
		return "none"
	}
	return "the letter with " + digest
}
