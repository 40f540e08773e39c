package letter

import (
	"errors"
	"fmt"
	"slices"

	"countersign/internal/letter/fonts"
)

// ErrNoGlyph means that the fonts have no glyph for a character of the letter.
var ErrNoGlyph = errors.New("the letter's fonts cannot draw a character")

// printable returns a copy of the content that the fonts can draw. It fails
// with ErrNoGlyph if the content is signed and they cannot draw it.
func printable(c Content) (Content, error) {
	c.Numbers = slices.Clone(c.Numbers)
	type field struct {
		name string
		text *string
	}
	fields := []field{{"provider", &c.Provider}, {"subscriber", &c.Subscriber}, {"address", &c.Address}, {"email", &c.Email}}
	for i := range c.Numbers {
		fields = append(fields, field{"carrier", &c.Numbers[i].CurrentCarrier})
	}
	if c.Signed == nil {
		fields = append(fields, field{"title", &c.Title})
	} else {
		signed := *c.Signed
		c.Signed = &signed
		fields = append(fields, field{"name of the signer", &signed.Name}, field{"title of the signer", &signed.Title})
	}
	for _, f := range fields {
		if r, ok := fonts.Missing(*f.text); ok && c.Signed != nil {
			return c, fmt.Errorf("%w: %q (%U) in the %s; write it in letters that they have", ErrNoGlyph, r, r, f.name)
		}
		*f.text = fonts.Spell(*f.text)
	}
	c.Evidence = slices.Clone(c.Evidence)
	for i := range c.Evidence {
		step := &c.Evidence[i]
		step.What, step.More = fonts.Spell(step.What), slices.Clone(step.More)
		for j, line := range step.More {
			step.More[j] = fonts.Spell(line)
		}
	}
	return c, nil
}
