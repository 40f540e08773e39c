package house

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"regexp"
)

// goodKey is how a key of a log record is written: like a setting's name.
var goodKey = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// attribute is one key and value that the program logs.
type attribute struct {
	f     *file
	key   ast.Expr
	value ast.Expr // nil if it is missing
}

// keysFrom says at which argument the keys of a log call begin, by the full
// names of package types. Calls with a context have it before the message.
var keysFrom = map[string]int{
	"With": 0, "Group": 1, "Debug": 1, "Info": 1, "Warn": 1, "Error": 1, "DebugContext": 2, "InfoContext": 2, "WarnContext": 2, "ErrorContext": 2, "Log": 3,
	"Any": 0, "Duration": 0, "String": 0, "Int": 0, "Int64": 0, "Uint64": 0, "Bool": 0, "Time": 0, "Float64": 0,
}

// attributes finds what the program logs: the arguments of slog's functions and
// of the methods of a Logger. Keys in a slice that is built elsewhere are not
// seen.
func attributes(of *tree) (found []attribute) {
	for _, f := range of.files {
		if f.types == nil || f.generated {
			continue
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			first, ok := keysFrom[slogFunction(f, call)]
			if !ok || call.Ellipsis.IsValid() || first == 0 && len(call.Args) > 0 && f.types.Types[call.Args[0]].Value == nil {
				return true
			}
			for i := first; i < len(call.Args); i++ {
				if types.TypeString(f.types.TypeOf(call.Args[i]), nil) == "log/slog.Attr" {
					continue // made by one of these functions
				}
				a := attribute{f: f, key: call.Args[i]}
				if i++; i < len(call.Args) {
					a.value = call.Args[i]
				}
				found = append(found, a)
			}
			return true
		})
	}
	return found
}

// slogFunction is the name of the function or method of log/slog that is called,
// or "".
func slogFunction(f *file, call *ast.CallExpr) string {
	var name *ast.Ident
	switch fun := call.Fun.(type) {
	case *ast.SelectorExpr:
		name = fun.Sel
	case *ast.Ident:
		name = fun
	default:
		return ""
	}
	function, ok := f.types.Uses[name].(*types.Func)
	if !ok || function.Pkg() == nil || function.Pkg().Path() != "log/slog" {
		return ""
	}
	if on := function.Signature().Recv(); on != nil && types.TypeString(on.Type(), nil) != "*log/slog.Logger" {
		return ""
	}
	return name.Name
}

// logKeys finds keys that nobody would search for.
func logKeys(of *tree) (found []finding) {
	failure := types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
	for _, a := range attributes(of) {
		report := func(key, what string) {
			found = append(found, finding{a.f.base() + " " + key, a.f.where(a.key), what})
		}
		value := a.f.types.Types[a.key].Value
		if value == nil || value.Kind() != constant.String {
			report("variable", "the key of a log record is no constant")
			continue
		}
		key := constant.StringVal(value)
		switch {
		case !goodKey.MatchString(key):
			report(key, fmt.Sprintf("the key of a log record is %q", key))
		case a.value == nil:
			report(key, fmt.Sprintf("the key %q has no value", key))
		case key == "error", key != "err" && types.Implements(a.f.types.TypeOf(a.value), failure):
			report(key, fmt.Sprintf("the key of an error is %q", key))
		}
	}
	return found
}

// logDurations finds durations that JSON would have without their unit.
func logDurations(of *tree) (found []finding) {
	for _, a := range attributes(of) {
		if a.value != nil && types.TypeString(a.f.types.TypeOf(a.value), nil) == "time.Duration" {
			found = append(found, finding{a.f.base() + " " + types.ExprString(a.key), a.f.where(a.value), "it logs a time.Duration"})
		}
	}
	return found
}

var logPlantings = []planting{
	{"log-key", "as it should be", logging(`l.Info("up", "public-url", "x", "err", err, slog.Int("port", 25)); l.With("claim", 1).Warn("x")`), nil},
	{"log-key", "a slice", logging(`l.Info("up", args...); _ = slog.Any(err.Error(), 1)`), nil},
	{"log-key", "another Info", logging(`other{}.Info("up", "No Key", 1); _ = err.Error()`), nil},
	{"log-key", "error", logging(`l.Warn("x", "error", err)`), []string{"a.go error"}},
	{"log-key", "an error by another key", logging(`l.Warn("x", "cause", err, "why", &fault{})`), []string{"a.go cause", "a.go why"}},
	{"log-key", "shapes", logging(`l.Warn("x", "logLevel", 1, "log_level", 2); l.DebugContext(ctx, "x", "Level", 3)`), []string{"a.go logLevel", "a.go log_level", "a.go Level"}},
	{"log-key", "in an attribute", logging(`l.Info("x", slog.Group("A", "B", 1)); slog.Info("x", slog.Any("C", err))`), []string{"a.go B", "a.go C"}},
	{"log-key", "not constant, and without a value", logging(`l.Info("x", err.Error(), 1, "port")`), []string{"a.go variable", "a.go port"}},
	{"log-duration", "with its unit", logging(`l.Info("x", "for", d.String(), "at", time.Now())`), nil},
	{"log-duration", "a bare number", logging(`l.Info("x", "for", d); l.With("for", time.Second).Error("x", slog.Duration("since", d))`), []string{`a.go "for"`, `a.go "for"`, `a.go "since"`}},
}

// logging is a package whose only function logs.
func logging(body string) map[string]string {
	return map[string]string{"planted/a.go": `package x

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

type other struct{}

func (other) Info(string, ...any) {}

type fault struct{ error }

func f(ctx context.Context, l *slog.Logger, d time.Duration, args ...any) {
	err := errors.New("x")
	` + body + `
	_, _, _, _, _ = ctx, err, time.Second, fault{}, slog.LevelInfo
}
`}
}
