package letter_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"countersign/internal/letter"
	"countersign/internal/letter/fonts"
	"countersign/internal/loa"
)

// printed are names that the letter prints: the cases from the field and others
// of their kind. a2 is typed with marks as characters of their own.
var printed = map[string][]string{
	"a1 Vietnamese": {"Nguyễn Thị Hồng Ánh", "Phú Hòa Nguyễn, LLC", "Trần Đình Hưởng"},
	"a1 Azeri":      {"Əliyev Şəhla", "Cəfər Qəhrəmanov", "İlqar Məmmədov"},
	"a1 capital ß":  {"GROẞ", "WEIẞ", "STRAẞE 7"},
	"a1 Yoruba":     {"Adé Ọlábísí Ṣọlá", "Ọ̀ṣun Ẹ̀kìtì", "Chukwụemeka Ịbẹ", "Ɓala Ɗan Ƙasa"},
	"a1 Kazakh":     {"Қайрат Әлиұлы", "Өмірбек Жүсіп", "Ғани Һакімов", "Їжакевич Ґалаґан", "Ћирић Љубиша"},
	"a1 Mongolian":  {"Өлзий Үйлс", "Бөхөө Түвшин", "Сүхбаатар Өнөр"},
	"a1 Greek":      {"Ἀριστοτέλης", "ᾨδὴ Ὀρφεύς", "Ῥόδος Ἑλένη"},
	"a1 Hawaiian":   {"Kaʻōlani", "Kāneʻohe Family Dental", "Liliʻuokalani Kū"},
	"a1 others":     {"T‑Mobile", "Ǫ́ Naałtsoos", "Ḥātim ʿAlī", "Ðorður Þór", "Mart℠ Sons™ ₹100 €20", "Şükrü Ğ", "Łódź Źrebię", "Ṃaḷe Ṅ"},
	"a2":            {"José Ñuñez Müller", "Nguyễn Thị Hồng", "Ἄννα Й"},
}

// TestWrite_NamesPrintAsTyped has names in every place of a letter: composed,
// decomposed, and with characters that have no shape.
func TestWrite_NamesPrintAsTyped(t *testing.T) {
	for kind, names := range printed {
		t.Run(kind, func(t *testing.T) {
			for _, name := range names {
				c := content("en", 3)
				for i, s := range places(&c) {
					*s = fmt.Sprintf("%d ", i) + []string{name, norm.NFD.String(name), "\u200b" + name + "\u00a0Jr."}[i%3]
				}
				text := squeezed(run(t, write(t, c), "pdftotext", "PDF", "-"))
				for i, s := range places(&c)[1:] { // the title of an unsigned letter is not in it
					want := fmt.Sprintf("%d %s", i+1, norm.NFC.String(name))
					if (i+1)%3 == 2 {
						want += " Jr."
					}
					if !strings.Contains(text, want) {
						t.Errorf("%+q typed: %+q is not in\n%.600s", *s, want, text)
					}
				}
			}
		})
	}
}

// places are the texts of a letter that somebody has typed, and of its evidence.
func places(c *letter.Content) []*string {
	return []*string{&c.Title, &c.Provider, &c.Subscriber, &c.Address, &c.Email, &c.Numbers[0].CurrentCarrier, &c.Signed.Name, &c.Signed.Title, &c.Evidence[0].What, &c.Evidence[0].More[0]}
}

// notPrinted are names with the first character that the letter cannot print:
// the cases from the field and others of their kind.
var notPrinted = map[string]string{
	"山田太郎": "山", "田中 一郎": "田", "王小明": "王", "ひらがな": "ひ",
	"محمد عبد الله": "م", "فاطمة": "ف", "Ali علي": "ع",
	"דוד כהן": "ד", "שרה לוי": "ש",
	"राजेश कुमार": "र", "अनिता": "अ",
	"สมชาย ใจดี": "ส", "ธนพล": "ธ",
	"김민준": "김", "이서연": "이",
	"Zoë 😀": "😀", "\U00020BB7野家": "\U00020BB7", "Արամ": "Ա", "გიორგი": "გ", "Zoë \U0010FFFF": "\U0010FFFF", "broken \ufffd": "\ufffd", "the first of two units \U00010000": "\U00010000",
}

// TestWrite_NoSignedLetterHasAMissingGlyph has each name in every place of a
// signed letter that is no evidence.
func TestWrite_NoSignedLetterHasAMissingGlyph(t *testing.T) {
	for name, first := range notPrinted {
		r := []rune(first)[0]
		if got, ok := fonts.Missing(name); !ok || got != r {
			t.Errorf("%q: the first character that is missing is %q, %v", name, got, ok)
		}
		for i := 1; i < 8; i++ { // the title of an unsigned letter, the first, is not in it
			c := content("en", 3)
			*places(&c)[i] = name
			if _, err := letter.Write(c); !errors.Is(err, letter.ErrNoGlyph) || !strings.Contains(err.Error(), fmt.Sprintf("%U", r)) {
				t.Errorf("%q at place %d: %v", name, i, err)
			}
		}
	}
}

// TestWrite_CodePointsStandForWhatCannotBeDrawn has the same names in a letter
// to be read, and in the evidence of a signed one that is sealed.
func TestWrite_CodePointsStandForWhatCannotBeDrawn(t *testing.T) {
	all := strings.Join(slices.Collect(maps.Keys(notPrinted)), " ")
	unsigned, signed := content("en", 3), content("en", 3)
	unsigned.Title, unsigned.Subscriber, unsigned.Provider, unsigned.Numbers[0].CurrentCarrier, unsigned.Signed = all, all, all, all, nil
	signed.Evidence[0].What, signed.Evidence[0].More[0] = all, all
	sealed, err := seals(t, keys(t)["ECDSA"]).Apply(write(t, signed), at, nil)
	if err != nil {
		t.Fatal(err)
	}
	for text, places := range map[string]int{run(t, write(t, unsigned), "pdftotext", "PDF", "-"): 4, run(t, sealed, "pdftotext", "PDF", "-"): 2} {
		for name, first := range notPrinted {
			if spelled := fmt.Sprintf("[%U]", []rune(first)[0]); strings.Count(text, spelled) < places {
				t.Errorf("%q: %s is not in it %d times:\n%s", name, spelled, places, text)
			}
		}
	}
}

// TestWrite_WordsHaveGlyphs holds the letter's own words against the fonts.
func TestWrite_WordsHaveGlyphs(t *testing.T) {
	for _, language := range loa.Languages() {
		if r, ok := fonts.Missing(fmt.Sprintf("%+v", loa.Of("Example", language))); ok {
			t.Errorf("%s: the fonts cannot draw %q", language, r)
		}
	}
}
