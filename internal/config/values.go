package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"countersign/internal/private"
	"countersign/workflow"
)

// A value carries a setting between its text and its field. The errors of set say
// what the text must be; they never quote it.
type value struct {
	kind   string // as --help shows it
	secret bool
	set    func(text string) error
	get    func() string
}

func into[T any](field *T, kind string, parse func(string) (T, error)) value {
	return value{
		kind: kind,
		set: func(text string) error {
			v, err := parse(text)
			if err == nil {
				*field = v
			}
			return err
		},
		get: func() string { return fmt.Sprint(*field) },
	}
}

func word(field *string) value {
	return into(field, "name", func(s string) (string, error) {
		if s == "" || strings.ContainsAny(s, " \t\r\n/\\") {
			return "", errors.New("must not be empty or contain spaces or slashes")
		}
		return s, nil
	})
}

var inboxSubject = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// inboxPrefix is the prefix of the subjects of answers. It must not be one of
// the log's own subjects, or the answers would be stored as entries.
func inboxPrefix(field *string) value {
	return into(field, "subject", func(s string) (string, error) {
		log, _, _ := strings.Cut(workflow.SubjectPrefix, ".")
		if first, _, _ := strings.Cut(s, "."); first == log || !inboxSubject.MatchString(s) {
			return "", fmt.Errorf("must be words of letters, digits, _ and - with dots between, and must not begin with %s", log)
		}
		return s, nil
	})
}

// name is the name of a person or company, on one line.
func name(field *string) value {
	return into(field, "text", func(s string) (string, error) {
		if strings.TrimSpace(s) == "" || len(s) > 200 || !utf8.ValidString(s) || workflow.NameFault(s) != "" {
			return "", errors.New("must be one line of at most 200 bytes, with visible characters and without hidden ones that change the direction of text")
		}
		return strings.TrimSpace(s), nil
	})
}

// path is a file or directory that need not exist.
func path(field *string) value {
	return into(field, "path", func(s string) (string, error) {
		if s == "" {
			return "", errors.New("must not be empty")
		}
		return s, nil
	})
}

// readable is a file that must exist.
func readable(field *string) value {
	return into(field, "file", func(s string) (string, error) {
		f, err := os.Open(s)
		if err != nil {
			return "", fmt.Errorf("cannot be read (%w)", cause(err))
		}
		defer f.Close()
		switch info, err := f.Stat(); {
		case err != nil:
			return "", fmt.Errorf("cannot be read (%w)", cause(err))
		case info.IsDir():
			return "", errors.New("must be a file, and is a directory")
		}
		return s, nil
	})
}

// secretFile is a file with a secret. It must exist, and users other than its owner
// must not be able to read or change it.
func secretFile(field *string) value {
	v := readable(field)
	read := v.set
	v.set = func(s string) error {
		if err := read(s); err != nil {
			return err
		}
		return private.CheckFile(s)
	}
	return v
}

func count(field *int, low, high int) value {
	return into(field, "number", func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		return n, nil
	})
}

func rate(field *float64) value {
	return into(field, "per-second", func(s string) (float64, error) {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n) {
			return 0, errors.New("must be a number per second, 0 or more")
		}
		return n, nil
	})
}

// The shortest times that make sense, and the longest.
const (
	anyTime   = time.Nanosecond
	oneSecond = time.Second
	tenYears  = 10 * 365 * 24 * time.Hour
)

func duration(field *time.Duration, least time.Duration) value {
	return into(field, "duration", func(s string) (time.Duration, error) {
		d, err := time.ParseDuration(s)
		switch {
		case err != nil || d <= 0:
			return 0, errors.New("must be a time such as 30s, 1m30s or 720h")
		case d < least:
			return 0, fmt.Errorf("must be at least %s", least)
		}
		return d, nil
	})
}

// upTo is a duration of at most most.
func upTo(most time.Duration, field *time.Duration, least time.Duration) value {
	v := duration(field, least)
	parse := v.set
	v.set = func(s string) error {
		before := *field
		err := parse(s)
		if err == nil && *field > most {
			*field, err = before, fmt.Errorf("must be at most %s", most)
		}
		return err
	}
	return v
}

// durationOr is a duration, or the word for 0.
func durationOr(word string, field *time.Duration) value {
	v := duration(field, anyTime)
	v.kind = word + "|duration"
	parse := v.set
	v.set = func(s string) error {
		if s == word {
			*field = 0
			return nil
		}
		if parse(s) != nil {
			return errors.New("must be " + word + " or a time such as 30s or 2m")
		}
		return nil
	}
	return v
}

// secondsOr is a time in whole seconds that an event can hold, or the word for 0.
func secondsOr(word string, field *time.Duration) value {
	v := durationOr(word, field)
	parse := v.set
	v.set = func(s string) error {
		before := *field
		if err := parse(s); err != nil {
			return err
		}
		if got := *field; s != word && (got < oneSecond || got%oneSecond != 0 || got > tenYears) {
			*field = before
			return fmt.Errorf("must be %s or a time in whole seconds, up to ten years", word)
		}
		return nil
	}
	return v
}

// parts is one or more of the parts of a letter, separated by commas, or none.
func parts(field *[]workflow.LetterPart) value {
	some := words(field, workflow.LetterParts)
	parse := some.set
	some.set = func(s string) (err error) {
		if *field = nil; s != "none" {
			err = parse(s)
		}
		return err
	}
	return some
}

// words is one or more of some words, separated by commas.
func words[T ~string](field *[]T, of []T) value {
	return into(field, "words", func(s string) (list []T, err error) {
		given := strings.Split(s, ",")
		for _, word := range of {
			if slices.Contains(given, string(word)) {
				list = append(list, word)
			}
		}
		if len(list) != len(given) {
			return nil, fmt.Errorf("must be one or more of %s, each once, separated by commas without spaces", join(of))
		}
		return list, nil
	})
}

func join[T ~string](list []T) string {
	words := make([]string, len(list))
	for i, s := range list {
		words[i] = string(s)
	}
	return strings.Join(words, ", ")
}

func oneOf(field *string, words ...string) value {
	return into(field, strings.Join(words, "|"), func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", errors.New("must be " + strings.Join(words, " or "))
		}
		return s, nil
	})
}

func onOff(field *bool) value {
	v := into(field, "on|off", func(s string) (bool, error) {
		if s != "on" && s != "off" {
			return false, errors.New("must be on or off")
		}
		return s == "on", nil
	})
	v.get = func() string { return map[bool]string{true: "on", false: "off"}[*field] }
	return v
}

// prefixes are addresses and networks, separated by commas.
func prefixes(field *[]netip.Prefix) value {
	return into(field, "networks", func(s string) (list []netip.Prefix, err error) {
		for part := range strings.SplitSeq(s, ",") {
			p, err := netip.ParsePrefix(part)
			if a, bad := netip.ParseAddr(part); bad == nil {
				p, err = netip.PrefixFrom(a, a.BitLen()), nil
			}
			if err != nil {
				return nil, errors.New("must be addresses or networks such as 127.0.0.1,10.1.0.0/16, separated by commas without spaces")
			}
			if p.Addr().Is4In6() { // a peer's address is compared as IPv4
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
				if !p.IsValid() {
					return nil, errors.New("must have 96 bits or more if it is an IPv4-mapped network such as ::ffff:10.0.0.0/104; write it as IPv4, such as 10.0.0.0/8")
				}
			}
			list = append(list, p.Masked())
		}
		return list, nil
	})
}

func level(field *slog.Level) value {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	return into(field, "level", func(s string) (slog.Level, error) {
		l, ok := levels[s]
		if !ok {
			return 0, errors.New("must be debug, info, warn or error")
		}
		return l, nil
	})
}

func address(field *string) value {
	return into(field, "host:port", func(s string) (string, error) {
		_, port, err := net.SplitHostPort(s)
		if err != nil {
			return "", errors.New("must be host:port, such as 127.0.0.1:8080")
		}
		return s, checkPort(port)
	})
}

func checkPort(port string) error {
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("must have a port from 0 to 65535")
	}
	return nil
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$`)

func isHostName(s string) bool { return len(s) <= 253 && hostName.MatchString(s) }

// hostNames are names of hosts without ports, separated by commas.
func hostNames(field *[]string) value {
	return into(field, "names", func(s string) ([]string, error) {
		names := strings.Split(s, ",")
		for _, name := range names {
			if !isHostName(name) {
				return nil, errors.New("must be host names without a port, such as countersign.monitoring.svc, separated by commas without spaces")
			}
		}
		return names, nil
	})
}

// orOff also takes "off", which empties the field.
func orOff(of func(*string) value, field *string) value {
	v := of(field)
	v.kind += "|off"
	parse := v.set
	v.set = func(s string) error {
		if s == "off" {
			*field = ""
			return nil
		}
		return parse(s)
	}
	return v
}

func origin(field *string) value {
	return into(field, "url", func(s string) (string, error) {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || s != u.Scheme+"://"+u.Host {
			return "", errors.New("must be an origin such as https://sign.example.com, without a path or a slash at the end")
		}
		return s, nil
	})
}

func webURL(field *string) value {
	return into(field, "url", func(s string) (string, error) {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" {
			return "", errors.New("must be an https URL such as https://ca.example.com/directory")
		}
		return s, nil
	})
}

// tsaURL may be http, because the answer is signed.
func tsaURL(field *string) value {
	return into(field, "url", func(s string) (string, error) {
		u, err := url.Parse(s)
		if s != "" && (err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https") {
			return "", errors.New("must be a URL such as http://tsa.example.com/tsr")
		}
		return s, nil
	})
}

func hidden(field *Secret, kind string, check func(string) error) value {
	v := into(field, kind, func(s string) (Secret, error) { return Secret(s), check(s) })
	v.secret = true
	return v
}

func natsURLs(field *Secret) value {
	return hidden(field, "urls", func(s string) error {
		for part := range strings.SplitSeq(s, ",") {
			u, err := url.Parse(part)
			if err != nil || u.Hostname() == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
				return errors.New("must be URLs such as nats://nats1.example.com:4222, separated by commas without spaces (percent-encode special characters of a password)")
			}
		}
		return nil
	})
}
