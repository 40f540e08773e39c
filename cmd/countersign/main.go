// Command countersign gets letters of authorization signed: it follows the log
// of Authorization Document events, emails signers and cc recipients, and has
// the numbers of signed documents registered. README.md has the tour.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"countersign/db"
	"countersign/internal/config"
	"countersign/internal/datadir"
	"countersign/internal/operator"
	"countersign/internal/session"
	"countersign/internal/show"
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
		Version:       show.Version(),
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

func (a *app) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.out.Linef("%s", show.Version())
		},
	}
}

// withStore runs f with the database of the worker on the data directory, for
// reading.
func (a *app) withStore(c *cobra.Command, f func(context.Context, *db.Store) error) error {
	return a.withOperator(c, 0, func(ctx context.Context, o *operator.Operator) error { return f(ctx, o.Store) })
}

// withOperator runs f with an operator that waits as long as wait for the worker
// on the data directory.
func (a *app) withOperator(c *cobra.Command, wait time.Duration, f func(context.Context, *operator.Operator) error) (err error) {
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	store, err := db.OpenReader(c.Context(), cfg.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(c.Context(), &operator.Operator{Config: cfg, Logger: logger(a.err, cfg), Store: store, Wait: wait})
}

// withSession runs f with the log. Of o, Alone and NoLog count.
func (a *app) withSession(c *cobra.Command, o session.Options, f func(context.Context, *session.Session) error) error {
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	o.Config, o.Logger, o.Notes = cfg, logger(a.err, cfg), a.err
	s, err := session.Open(c.Context(), o)
	if err != nil {
		return err
	}
	defer s.Close()
	return f(c.Context(), s)
}

// withLog runs f with a connection to the log's server.
func (a *app) withLog(c *cobra.Command, f func(context.Context, *nats.Conn) error) error {
	cfg, err := a.load(c)
	if err != nil {
		return err
	}
	return session.Do(c.Context(), cfg, logger(a.err, cfg), f)
}

var documentSID = regexp.MustCompile(`^PX[0-9a-fA-F]{4,32}$`)

// aDocument checks that a command has one argument, a document's sid or the
// beginning of it, and takes "…" off its end, with which tables shorten sids.
func aDocument(c *cobra.Command, args []string) (err error) {
	if err := cobra.ExactArgs(1)(c, args); err != nil {
		return err
	}
	args[0], err = sidArg(args[0])
	return err
}

// sidArg reads a document's sid, or the beginning of it, which db.Store.FindSID
// completes. It may end in "…".
func sidArg(arg string) (string, error) {
	sid := strings.TrimSuffix(arg, "…")
	if !documentSID.MatchString(sid) {
		return "", usagef("a document sid must be PX and 32 hex digits, or PX and at least the first 4 of them; got %q", arg)
	}
	return sid, nil
}

// sequenceArg reads a sequence on the log, or on the stream of unread reports. name
// is the argument's in the help, and list the command that lists such sequences.
func sequenceArg(arg, name, list string) (uint64, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n == 0 {
		return 0, usagef("%s must be a number that %s lists; got %q", name, list, arg)
	}
	return n, nil
}

// unknownValue is the error of a filter's unknown value: it lists the known ones.
func unknownValue[T ~string](flag, value string, known []T) error {
	var list []string
	for _, k := range known {
		list = append(list, string(k))
	}
	return usagef("%s must be one of %s; got %q", flag, strings.Join(list, ", "), value)
}

var accountSID = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)

// accountFilter checks --account; empty means every account.
func accountFilter(sid string) error {
	if sid != "" && !accountSID.MatchString(sid) {
		return usagef("--account must be AC and 32 hex digits; got %q", sid)
	}
	return nil
}

// parent makes a command that only holds others.
func parent(use, short, long string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ArbitraryArgs, RunE: group}
	c.AddCommand(subs...)
	return c
}

// jsonLines adds the flag --json to a command that prints a list.
func jsonLines(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print one JSON object a line")
}

// jsonObject adds the flag --json to a command that prints one thing.
func jsonObject(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print one JSON object")
}

// before has a command check its flags before it runs, after the checks that it has.
func before(c *cobra.Command, check func() error) {
	earlier := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if earlier == nil {
			return check()
		}
		return errors.Join(earlier(c, args), check())
	}
}

// waitFlag adds the flag --wait.
func waitFlag(c *cobra.Command, wait time.Duration) *time.Duration {
	d := c.Flags().Duration("wait", wait, "how long to wait until the worker has applied the event")
	before(c, func() error {
		if *d < 0 {
			return usagef("--wait must not be negative")
		}
		return nil
	})
	return d
}

// limitFlag adds the flag --limit, the maximum number of what a list shows.
func limitFlag(c *cobra.Command, what string) *int {
	n := c.Flags().Int("limit", 50, "maximum number of "+what)
	before(c, func() error {
		if *n < 1 {
			return usagef("--limit must be at least 1")
		}
		return nil
	})
	return n
}

// sayLimit says that there may be more than a list shows.
func (a *app) sayLimit(listed, limit int) {
	if listed >= limit {
		a.err.Linef("the newest %d are listed, and there may be more; see --limit", limit)
	}
}

// logger writes JSON, or coloured text on a terminal.
func logger(to *terminal.Printer, cfg config.Config) *slog.Logger {
	return leveled(to, cfg, cfg.LogLevel)
}

// leveled is a logger whose level may change.
func leveled(to *terminal.Printer, cfg config.Config, level slog.Leveler) *slog.Logger {
	if cfg.LogFormat == config.LogText || cfg.LogFormat == config.LogAuto && to.Terminal() {
		return slog.New(terminal.TextLog(to, level, to.Terminal() && os.Getenv("NO_COLOR") == ""))
	}
	return slog.New(terminal.JSONLog(to, level))
}

// addSettings gives a command and those below it the flags that config.CommandSettings
// names; a command without a row has those of the command above it.
func addSettings(c *cobra.Command, above []string) {
	settings, ok := config.CommandSettings[strings.TrimPrefix(c.CommandPath(), "countersign ")]
	switch {
	case !ok:
		settings = above
	case settings == nil:
		config.Flags(c.Flags())
	}
	if len(settings) > 0 && !isGroup(c) {
		config.Flags(c.Flags(), settings...)
	}
	for _, sub := range c.Commands() {
		addSettings(sub, settings)
	}
}

// isGroup reports whether a command only holds others.
func isGroup(c *cobra.Command) bool {
	return c.HasSubCommands() && !c.HasLocalFlags()
}

// flagError says what to do about a flag that a command does not have.
func flagError(c *cobra.Command, err error) error {
	missing, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return exitError{err, exitUsage}
	}
	name := missing.GetSpecifiedName()
	if config.IsSetting(name) {
		return usagef("%s does not use the setting %s: leave --%s out", c.CommandPath(), name, name)
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := config.Nearest(name, known, max(2, len(name)/3)); near != "" {
		return usagef("%w; did you mean --%s?", err, near)
	}
	return usagef("%w; see %s --help", err, c.CommandPath())
}

// previewFlags adds --yes and --dry-run to a command that destroys data. It does
// so with --yes only. do reports whether it is there; finish returns the error
// after what would be done was printed.
func previewFlags(c *cobra.Command) (do *bool, finish func() error) {
	yes := c.Flags().Bool("yes", false, "do it; without this flag or --dry-run the command says what would be lost, and fails")
	dryRun := dryRunFlag(c)
	before(c, func() error {
		if *yes && *dryRun {
			return usagef("--yes and --dry-run exclude each other; leave one out")
		}
		return nil
	})
	return yes, func() error {
		if *dryRun {
			return nil
		}
		return usagef("nothing was changed; give --yes to do it, or --dry-run only to look")
	}
}

// dryRunFlag adds the flag --dry-run, which is the same for every command.
func dryRunFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("dry-run", false, "change nothing, and say what would be done")
}
