package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"countersign/internal/private"
)

// sources holds the settings that were given, in three layers, and the faults that
// were found before the values are checked.
type sources struct {
	flags, env, file *koanf.Koanf
	path             string            // of the file
	variable         map[string]string // the environment variable that gave a setting
	broken           map[string]bool   // settings that were given and cannot be read
	faults           []error
}

// read reads the flags, the environment and the file.
func read(rows []setting, flags *pflag.FlagSet, environ []string) *sources {
	const level = "." // none of our names has levels; a file might
	src := &sources{
		flags: koanf.New(level), env: koanf.New(level), file: koanf.New(level),
		variable: map[string]string{}, broken: map[string]bool{},
	}
	known := names(rows)
	src.load("the flags", src.flags, posflag.ProviderWithFlag(flags, level, nil, func(f *pflag.Flag) (string, any) {
		if !slices.Contains(known, f.Name) {
			return "", nil
		}
		return f.Name, f.Value.String()
	}), nil)
	src.load("the environment", src.env, confmap.Provider(src.environment(rows, environ), level), nil)

	i := slices.IndexFunc(rows, func(s setting) bool { return s.name == configFile })
	if src.path, _ = src.lookup(rows[i]); src.path != "" {
		src.load(src.path, src.file, file.Provider(src.path), yaml.Parser())
		src.checkFile(slices.Delete(known, i, i+1))
		src.checkPasswords(rows)
	}
	return src
}

func names(rows []setting) []string {
	out := make([]string, len(rows))
	for i, s := range rows {
		out[i] = s.name
	}
	return out
}

// lookup returns a setting's text and how it was given.
func (src *sources) lookup(s setting) (text, origin string) {
	switch {
	case src.flags.Exists(s.name):
		return src.flags.String(s.name), "--" + s.name
	case src.env.Exists(s.name):
		return src.env.String(s.name), src.variable[s.name]
	case src.file.Exists(s.name):
		return src.file.String(s.name), s.name + " in " + src.path
	}
	return s.fallback, "--" + s.name
}

func (src *sources) fault(format string, args ...any) {
	src.faults = append(src.faults, fmt.Errorf(format, args...))
}

func (src *sources) load(what string, into *koanf.Koanf, p koanf.Provider, parser koanf.Parser) {
	if err := into.Load(p, parser); err != nil {
		src.fault("%s cannot be read: %s", what, oneLine(cause(err)))
	}
}

// cause is the error without the path, which our message already has.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// environment returns the settings in the environment. A secret may be in a file
// that the environment names.
func (src *sources) environment(rows []setting, environ []string) map[string]any {
	vars := map[string]string{}
	for _, line := range environ {
		name, text, _ := strings.Cut(line, "=")
		if strings.HasPrefix(name, envPrefix) && text != "" {
			vars[name] = text
		}
	}
	out, known := map[string]any{}, []string{}
	for _, s := range rows {
		known = append(known, s.env())
		if text, ok := vars[s.env()]; ok {
			out[s.name], src.variable[s.name] = text, s.env()
		}
		if s.secret {
			known = append(known, s.envFile())
			src.secretFile(s, vars, out)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !slices.Contains(known, name) {
			src.fault("%s: there is no such setting; %s", name, nearest(name, known))
		}
	}
	return out
}

// secretFile reads the file that the …_FILE variable of a secret names.
func (src *sources) secretFile(s setting, vars map[string]string, out map[string]any) {
	path, named := vars[s.envFile()]
	if !named {
		return
	}
	if out[s.name] != nil {
		src.fault("%s and %s: both are set; unset one", s.env(), s.envFile())
		return
	}
	b, err := os.ReadFile(path)
	if err == nil {
		err = private.CheckFile(path)
	}
	text := strings.TrimSpace(string(b))
	switch {
	case errors.Is(err, private.ErrOpen):
		src.fault("%s: %s cannot be used: %w", s.envFile(), path, err)
	case err != nil:
		src.fault("%s: %s cannot be read: %w", s.envFile(), path, cause(err))
	case text == "":
		src.fault("%s: %s is empty", s.envFile(), path)
	default:
		out[s.name], src.variable[s.name] = text, s.envFile()
		return
	}
	src.broken[s.name] = true
}

// checkFile refuses keys that are no setting, and values that are lists or maps.
func (src *sources) checkFile(known []string) {
	for _, key := range src.file.Keys() {
		if !slices.Contains(known, key) {
			src.fault("%s in %s: there is no such setting; %s", key, src.path, nearest(key, known))
			continue
		}
		switch src.file.Get(key).(type) {
		case string, bool, int, int64, float64:
		default:
			src.fault("%s in %s: must be one value: write %s: VALUE", key, src.path, key)
			src.broken[key] = true
		}
	}
}

// checkPasswords refuses a file with a password in it that other users can read
// or change.
func (src *sources) checkPasswords(rows []setting) {
	err := private.CheckFile(src.path)
	if !errors.Is(err, private.ErrOpen) {
		return // a missing file has been reported already
	}
	for _, s := range rows {
		if s.secret && strings.Contains(src.file.String(s.name), "@") {
			src.fault("%s in %s: the file cannot be used with a password in it: %w", s.name, src.path, err)
		}
	}
}

// nearest says what to do about a name that is not known.
func nearest(name string, known []string) string {
	if best := Nearest(name, known, 3); best != "" {
		return "did you mean " + best + "?"
	}
	return "see countersign serve --help for all settings"
}

// Nearest returns the known name that is the fewest changes away from name, or
// "" if that is more than limit. A letter put in, left out or replaced is a
// change; case and separators are not.
func Nearest(name string, known []string, limit int) string {
	best, least := "", limit+1
	for _, k := range known {
		if n := distance(plain(name), plain(k)); n < least {
			best, least = k, n
		}
	}
	return best
}

// plain removes separators and lower-cases.
func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "", "_", "", ".", "").Replace(name))
}

// distance is the number of letters to insert, delete or change to get from a to b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
