// Package evidence writes everything about a document into one archive that can
// be checked years later without the log, and checks such archives.
//
// An archive is a ZIP file of a manifest, a signature of it, and the files that
// it lists, in this order and uncompressed. Each line of the manifest has the
// digest of its file and a link: the digest of the line before and of this one.
// The same content makes the same archive.
package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"regexp"
	"time"

	"countersign/events"
	"countersign/internal/terminal"
	"countersign/workflow"
)

// Format is the version of archives that this package writes and reads.
const Format = "countersign evidence 1"

// The files of an archive. Each message of the log has two: Data, its payload,
// byte for byte, and Head, its subject, headers and position.
const (
	ManifestFile  = "manifest.json"
	SignatureFile = "manifest.p7s" // detached CMS (RFC 5652) over the manifest
	DocumentFile  = "document.json"
	MailsFile     = "mails.json"
	LetterFile    = "letter.pdf"
	logFolder     = "log/"
)

// Manifest says what the archive holds. Its JSON is what is signed.
type Manifest struct {
	Format   string          `json:"format"`
	Document workflow.SID    `json:"authorization_document_sid"`
	Account  workflow.SID    `json:"account_sid"`
	Status   workflow.Status `json:"status"`           // at Sequence
	Erased   uint64          `json:"erased,omitempty"` // sequence of its last event of erasure; then little else is left
	Stream   time.Time       `json:"stream_created"`   // when the log was created
	Sequence uint64          `json:"sequence"`         // how far that log was read
	Time     time.Time       `json:"time"`             // of the entry there
	Files    []File          `json:"files"`
}

// File is one line of a manifest.
type File struct {
	Name   string `json:"name"`
	Size   int    `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // of its bytes, in hex
	Link   string `json:"link"`   // see link
}

// head is what a message has besides its payload.
type head struct {
	Sequence uint64              `json:"sequence"`
	Time     time.Time           `json:"time"` // when the log took it
	Subject  string              `json:"subject"`
	Header   map[string][]string `json:"header,omitempty"`
}

// Content is what goes into an archive.
type Content struct {
	Manifest                  // without Files
	Life     any              // the document in its present state, as JSON; nil if it is erased
	Mails    any              // the mail ledger, as JSON; nil if it is erased
	Letter   []byte           // the signed letter, nil if there is none
	Messages []events.Message // all messages on the log about the document, oldest first
}

// Write makes an archive. sign signs the manifest.
func Write(c Content, sign func(content []byte) ([]byte, error)) ([]byte, error) {
	files, err := c.files()
	if err != nil {
		return nil, fmt.Errorf("evidence of %s: %w", c.Document, err)
	}
	m := c.Manifest
	m.Format, m.Files = Format, []File{}
	link := first(m)
	for _, f := range files {
		line := describe(f, link)
		link = line.Link
		m.Files = append(m.Files, line)
	}
	manifest, err := encode(m)
	if err != nil {
		return nil, fmt.Errorf("evidence of %s: %w", c.Document, err)
	}
	signature, err := sign(manifest)
	if err != nil {
		return nil, fmt.Errorf("evidence of %s: sign the manifest: %w", c.Document, err)
	}
	return pack(append([]packed{{ManifestFile, manifest}, {SignatureFile, signature}}, files...))
}

// packed is a file of an archive, whole.
type packed struct {
	name string
	data []byte
}

// files lists the files after the manifest and its signature, in order.
func (c Content) files() (list []packed, err error) {
	put := func(name string, v any) {
		if data, e := encode(v); e != nil {
			err = fmt.Errorf("%s: %w", name, e)
		} else {
			list = append(list, packed{name, data})
		}
	}
	if c.Life != nil {
		put(DocumentFile, c.Life)
	}
	if c.Mails != nil {
		put(MailsFile, c.Mails)
	}
	if c.Letter != nil {
		list = append(list, packed{LetterFile, c.Letter})
	}
	for _, m := range c.Messages {
		put(headFile(m.Sequence), head{m.Sequence, m.Time, m.Subject, m.Header})
		list = append(list, packed{dataFile(m.Sequence), m.Data})
	}
	return list, err
}

func headFile(sequence uint64) string { return fmt.Sprintf("%s%d.head.json", logFolder, sequence) }
func dataFile(sequence uint64) string { return fmt.Sprintf("%s%d.data", logFolder, sequence) }

// encode is JSON for people, too.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// first is the link before the first line: the digest of all that the manifest
// says besides its lines.
func first(m Manifest) string {
	m.Files = []File{}
	text, err := encode(m)
	if err != nil {
		panic(fmt.Sprintf("encode a manifest: %v", err)) // strings, numbers and times that were read from JSON or the log
	}
	return digest(text)
}

// describe returns the line of a file that follows a line with this link.
func describe(f packed, before string) File {
	line := File{Name: f.name, Size: len(f.data), SHA256: digest(f.data)}
	line.Link = link(before, line)
	return line
}

// link is the SHA-256, in hex, of the link before, the name, the size and the
// digest of the line, each followed by a line feed.
func link(before string, f File) string {
	return digest(fmt.Appendf(nil, "%s\n%s\n%d\n%s\n", before, f.Name, f.Size, f.SHA256))
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// pack writes a ZIP file in which nothing is compressed, and no file has a
// time.
func pack(files []packed) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range files {
		h := &zip.FileHeader{
			Name: f.name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(f.data),
			CompressedSize64: uint64(len(f.data)), UncompressedSize64: uint64(len(f.data)),
		}
		to, err := w.CreateRaw(h)
		if err == nil {
			_, err = to.Write(f.data)
		}
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return out.Bytes(), nil
}

// most is the maximum size of the content of an archive, in bytes.
const most = 1 << 30

// longestName is how many characters of a name in an archive are quoted.
const longestName = 64

// namePattern is what names of files in an archive look like. Other names could
// be unpacked to another directory, or could be mistaken for other names.
var namePattern = regexp.MustCompile(`^[0-9a-z][0-9a-z._-]*(/[0-9a-z][0-9a-z._-]*)?$`)

// unpack reads what pack wrote.
func unpack(archive []byte) (files []packed, err error) {
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	total := uint64(0)
	for _, f := range r.File {
		if !namePattern.MatchString(f.Name) || len(f.Name) > longestName {
			return nil, fmt.Errorf("%s: countersign evidence writes no file with this name", terminal.Short(f.Name, longestName))
		}
		if total += f.UncompressedSize64; f.Method != zip.Store || total > most || total > uint64(len(archive)) {
			return nil, fmt.Errorf("%s: it must be stored without compression", f.Name)
		}
		from, err := f.Open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		data, err := io.ReadAll(io.LimitReader(from, most))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		files = append(files, packed{f.Name, data})
	}
	return files, nil
}
