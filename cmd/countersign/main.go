// Command countersign gets letters of authorization signed: it follows the log
// of Authorization Document events, emails signers and cc recipients, and has
// the numbers of signed documents registered. README.md has the tour.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/terminal"
)

func main() {
	syscall.Umask(0o077) // only this user can read what the program writes
	// A panic anywhere ends the process by SIGABRT. By default its exit status is
	// 2, that of a wrong setting, after which a supervisor does not start it again.
	// No core is left: it would hold keys and letters.
	debug.SetTraceback("crash")
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) // lowering it is always allowed
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// app is what every command is given.
type app struct {
	environ []string
	out     *terminal.Printer // data
	err     *terminal.Printer // everything else
}

// run is the program, with all that comes from outside. It returns the exit
// code.
func run(ctx context.Context, args, environ []string, out, errs io.Writer) int {
	a := &app{environ, terminal.New(out), terminal.New(errs)}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	a.err.Error("countersign: ", err)
	if coded, ok := errors.AsType[exitError](err); ok {
		return coded.code
	}
	if errors.Is(err, datadir.ErrNotListening) {
		return exitUsage
	}
	return exitFailure
}

// exitError is an error with an exit code of its own.
type exitError struct {
	error
	code int
}

// Unwrap returns what went wrong.
func (e exitError) Unwrap() error { return e.error }

// usagef makes an error in how the program was called.
func usagef(format string, args ...any) error {
	return exitError{fmt.Errorf(format, args...), exitUsage}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "countersign",
		Short:         "Gets letters of authorization signed",
		Long:          "Countersign follows the log of Authorization Document events, emails the signer and the people in cc,\nand has the numbers of signed documents registered.",
		Version:       versionLine(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(a.serve(), a.dev(), a.publish(), a.documents(), a.bounce(), a.bounces(), a.dead(), a.rules(), a.accounts(), a.webhooks(), a.keys(), a.snapshot(), a.rebuild(), a.newLog(), a.verify(), a.dump(),
		a.erase(), a.evidence(), a.replay(), a.version())
	for _, c := range root.Commands() {
		checkArgs(c)
		addSettings(c, []string{})
	}
	return root
}

// group is what a command does that only holds others.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	c.SuggestionsMinimumDistance = 2 // letters apart, as cobra's own
	err := fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(like, " or "))
	}
	return exitError{err, exitUsage}
}

// checkArgs makes a wrong number of arguments an error of usage.
func checkArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return exitError{err, exitUsage}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		checkArgs(sub)
	}
}

// load reads the configuration for a command.
func (a *app) load(c *cobra.Command, need ...string) (config.Config, error) {
	cfg, err := config.Load(c.Flags(), a.environ, need...)
	if err != nil {
		return cfg, exitError{err, exitUsage}
	}
	return cfg, nil
}

// release is the version, set when a release is built.
var release = ""

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.out.Linef("%s", versionLine())
		},
	}
}

// versionLine is what version and --version print.
func versionLine() string {
	return fmt.Sprintf("countersign %s %s %s/%s", versionName(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionName is the release, or what the build knows of its source.
func versionName() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return "devel"
}
