package letter

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"
	"unicode/utf16"

	"github.com/smallstep/pkcs7"
)

// Seal proves who sealed a letter, and that it has not changed since: a PAdES
// signature of the baseline (ETSI EN 319 142-1, profile B-B, and B-T with a
// time stamp) in an incremental update (ISO 32000-1, section 7.5.6) over the
// whole file. Any changed byte breaks it.
type Seal struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate // the certificates from it to one that readers trust; may be empty
	Key         crypto.Signer       // of the certificate: RSA or ECDSA
}

// Room for the signature in the file, in hexadecimal digits, besides that for
// the chain. Time stamps come with the certificates of their authority.
const (
	contentsLen = 16 << 10
	stampedLen  = contentsLen + 2*mostStamp
)

// Apply seals a letter that Write wrote. at is the claimed time of sealing.
// stamp gets a time stamp on the signature, a token of RFC 3161; if it is nil,
// the seal has no time stamp. Apply fails if stamp fails.
func (s Seal) Apply(pdf []byte, at time.Time, stamp func(signature []byte) (token []byte, err error)) ([]byte, error) {
	room := contentsLen
	var attributes func([]byte) ([]pkcs7.Attribute, error)
	if stamp != nil {
		room = stampedLen
		attributes = func(signature []byte) ([]pkcs7.Attribute, error) {
			token, err := stamp(signature)
			return []pkcs7.Attribute{{Type: idTimeStampToken, Value: asn1.RawValue{FullBytes: token}}}, err
		}
	}
	u, err := newUpdate(pdf)
	if err != nil {
		return nil, fmt.Errorf("seal the letter: %w", err)
	}
	for _, c := range s.Chain {
		room += hex.EncodedLen(len(c.Raw))
	}
	from, to := u.write(s.Certificate.Subject.CommonName, at, room)
	out := u.out.Bytes()
	covered := make([]byte, 0, len(out))
	covered = append(append(covered, out[:from]...), out[to:]...)
	der, err := signature(covered, s.certificates(), s.sign, attributes)
	if err != nil {
		return nil, fmt.Errorf("seal the letter: %w", err)
	}
	if hex.EncodedLen(len(der)) > room {
		return nil, fmt.Errorf("seal the letter: the signature has %d bytes, more than fits into the PDF: use a shorter certificate chain", len(der))
	}
	hex.Encode(out[from+1:], der)
	return out, nil
}

// update is an incremental update that is written at the end of a PDF.
type update struct {
	out               bytes.Buffer
	offsets           map[int]int // of the objects written, by number
	order             []int
	root, info, size  int // object numbers, and the first that is free
	page              int
	previous          int // offset of the last cross-reference table
	catalog, pageDict []byte
}

var (
	rootAt  = regexp.MustCompile(`/Root (\d+) 0 R`)
	sizeAt  = regexp.MustCompile(`/Size (\d+)`)
	infoAt  = regexp.MustCompile(`/Info (\d+) 0 R`)
	startAt = regexp.MustCompile(`startxref\s+(\d+)\s+%%EOF\s*$`)
	pageAt  = regexp.MustCompile(`(?s)(\d+) 0 obj\s*<<(\s*/Type /Page\b[^s].*?)>>\s*endobj`)

	catalogAt = regexp.MustCompile(`(?s)^\n\d+ 0 obj\s*<<(.*?)>>\s*endobj`)
)

var errNotOurs = errors.New("the PDF was not written by Write")

func newUpdate(pdf []byte) (*update, error) {
	i := bytes.LastIndex(pdf, []byte("trailer"))
	if i < 0 {
		return nil, errNotOurs
	}
	u := &update{offsets: map[int]int{}}
	for _, n := range []struct {
		at *regexp.Regexp
		to *int
	}{{rootAt, &u.root}, {sizeAt, &u.size}, {infoAt, &u.info}, {startAt, &u.previous}} {
		m := n.at.FindSubmatch(pdf[i:])
		if m == nil {
			return nil, errNotOurs
		}
		*n.to, _ = strconv.Atoi(string(m[1])) // digits
	}
	// Pages come first and the catalog last. Between them is the drawing, and
	// whoever drew it may have put something in it that looks like a catalog.
	page := pageAt.FindSubmatch(pdf)
	at := max(0, bytes.LastIndex(pdf, fmt.Appendf(nil, "\n%d 0 obj", u.root)))
	catalog := catalogAt.FindSubmatch(pdf[at:])
	if catalog == nil || page == nil {
		return nil, errNotOurs
	}
	u.page, _ = strconv.Atoi(string(page[1])) // digits
	u.catalog, u.pageDict = catalog[1], page[2]
	u.out.Write(pdf)
	if pdf[len(pdf)-1] != '\n' {
		u.out.WriteByte('\n')
	}
	return u, nil
}

// object writes a new version of an object.
func (u *update) object(n int, format string, args ...any) {
	u.offsets[n] = u.out.Len()
	u.order = append(u.order, n)
	fmt.Fprintf(&u.out, "%d 0 obj\n"+format+"\nendobj\n", append([]any{n}, args...)...)
}

// write writes the update, and returns the start and the end of the signature's
// place in it, including its angle brackets.
func (u *update) write(by string, at time.Time, room int) (from, to int) {
	signature, field := u.size, u.size+1
	u.object(u.root, "<<%s/AcroForm << /Fields [%d 0 R] /SigFlags 3 >>\n>>", u.catalog, field)
	u.object(u.page, "<<%s/Annots [%d 0 R]\n>>", u.pageDict, field)
	u.object(field, "<< /Type /Annot /Subtype /Widget /FT /Sig /T (Seal) /F 132 /Rect [0 0 0 0] /P %d 0 R /V %d 0 R >>", u.page, signature)
	const ranges = "%010d %010d %010d"
	u.object(signature, "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /Name <%s> /M (D:%sZ)\n/ByteRange [0 "+ranges+"]\n/Contents <%s>\n>>",
		utf16Hex(by), at.UTC().Format("20060102150405"), 0, 0, 0, bytes.Repeat([]byte("0"), room))
	body := u.out.Bytes()
	from = bytes.LastIndex(body, []byte("/Contents <")) + len("/Contents ")
	to = from + room + 2
	rangeAt := bytes.LastIndex(body[:from], []byte("/ByteRange [0 ")) + len("/ByteRange [0 ")
	u.trailer()
	body = u.out.Bytes()
	copy(body[rangeAt:], fmt.Sprintf(ranges, from, to, len(body)-to))
	return from, to
}

// trailer writes the cross-reference table of what was written, and the
// trailer that leads back to the one before.
func (u *update) trailer() {
	start := u.out.Len()
	u.out.WriteString("xref\n")
	for _, n := range u.order {
		fmt.Fprintf(&u.out, "%d 1\n%010d 00000 n \n", n, u.offsets[n])
	}
	fmt.Fprintf(&u.out, "trailer\n<<\n/Size %d\n/Root %d 0 R\n/Info %d 0 R\n/Prev %d\n>>\nstartxref\n%d\n%%%%EOF\n",
		u.size+2, u.root, u.info, u.previous, start)
}

// utf16Hex writes a text string as PDF has it beyond ASCII (ISO 32000-1,
// section 7.9.2.2).
func utf16Hex(s string) string {
	out := []byte("FEFF")
	for _, unit := range utf16.Encode([]rune(s)) {
		out = fmt.Appendf(out, "%04X", unit)
	}
	return string(out)
}
