package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/micro-quant/mqc/internal/edit"
)

// Exit codes.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

// app is what every command shares.
type app struct {
	out   *outWriter // data
	err   io.Writer  // talk
	json  bool
	quiet bool
	seed  uint64
	named bool // the note on .pt files has been said

	args []string // of the command line
	runs string   // --runs of the training commands; empty: see runsFolder
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{out: &outWriter{Writer: stdout}, err: stderr, args: args}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = a.out.err
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "mqc: %v\n", err)
	if h := hint(err); h != "" {
		fmt.Fprintf(stderr, "hint: %s\n", h)
	}
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "mqc",
		Short: "A GPT for candles: train it on your CPU, forecast distributions",
		Long: `mqc turns every candle into one token, trains a small GPT on the tokens in
four stages, and forecasts the distribution of the candles to come.

Start with:  mqc quickstart`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Version:       version,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetGlobalNormalizationFunc(normalize)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return newUsageError(c, plainValue(err)) })
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print results as JSON")
	root.PersistentFlags().Uint64Var(&a.seed, "seed", 1, "seed of everything random")

	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "results, warnings and errors only: no progress, no notes")
	root.PersistentFlags().Var(device{}, "device", "auto or cpu: mqc computes on the CPU")
	if err := root.PersistentFlags().MarkHidden("device"); err != nil {
		panic(err) // the flag is ours
	}

	root.AddCommand(
		a.quickstart(), a.data(), a.tokenize(),
		a.train(), a.midtrain(), a.sft(), a.rl(),
		a.calibrate(), a.eval(), a.report(), a.generate(), a.forecast(), a.chat(), a.serve(), a.decode(), a.analyze(), a.examples(),
		a.listRuns(), a.info(), a.logits(), a.export(), a.importTorch(), a.bench(), a.selftest(), a.doctor(), a.script(), a.version(),
	)
	if w := a.width(); w > 0 {
		root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", fmt.Sprintf("FlagUsagesWrapped %d", w)))
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = helpTopic
		case "completion":
			c.Args = knownShell
			c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		}
	}
	wrapArgs(root)
	complete(root)
	return root
}

// wrapArgs makes errors of positional arguments usage errors, and answers a
// wrong command with the nearest right one.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			err := check(c, args)
			var usage *usageError
			if err == nil || errors.As(err, &usage) {
				return err
			}
			e := newUsageError(c, err)
			if len(args) > 0 {
				e.suggest(c, args[0])
			}
			return e
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// suggest adds the command below c that could be meant by a word to the hint.
func (e *usageError) suggest(c *cobra.Command, word string) {
	if near := nearestCommand(c, word); near != "" {
		e.hint = fmt.Sprintf("did you mean %s %s? %s", c.CommandPath(), near, e.hint)
	}
}

// nearestCommand is the command below c that begins as a word does, or else is the
// fewest edits away, at most 2; or "".
func nearestCommand(c *cobra.Command, word string) string {
	const most = 2
	best, bestDistance := "", most+1
	for _, sub := range c.Commands() {
		d := edit.Distance(word, sub.Name())
		if strings.HasPrefix(sub.Name(), word) {
			d = 0
		}
		if sub.IsAvailableCommand() && d < bestDistance {
			best, bestDistance = sub.Name(), d
		}
	}
	return best
}

// helpTopic refuses help of what is no command.
func helpTopic(c *cobra.Command, words []string) error {
	found, rest, err := c.Root().Find(words)
	if err == nil && len(rest) == 0 {
		return nil
	}
	if err != nil {
		found, rest = c.Root(), words
	}
	e := usagef(found, "help: unknown command %q for %q", rest[0], found.CommandPath())
	e.suggest(found, rest[0])
	return e
}

// knownShell refuses shells that have no completion.
func knownShell(c *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	var shells []string
	for _, sub := range c.Commands() {
		shells = append(shells, sub.Name())
	}
	return usagef(c, "completion: unknown shell %q: want one of %s", words[0], strings.Join(shells, ", "))
}

// aliases maps other spellings of a flag, dashes for underscores, to its name.
var aliases = map[string]string{
	"num-epochs":     "epochs",
	"batch-size":     "batch",
	"learning-rate":  "lr",
	"save-dir":       "out",
	"output":         "out",
	"data-file":      "data",
	"data-dir":       "data",
	"tokens-file":    "data",
	"btc-csv":        "csv",
	"asset-csv":      "csv",
	"context-length": "context-len",
	"num":            "num-generate",
	"num-samples":    "samples",
	"num-codes":      "codes",
	"vocab-size":     "codes",
	"temp":           "temperature",
}

// normalize makes dashes and underscores one and resolves aliases.
func normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	if target, ok := aliases[name]; ok {
		name = target
	}
	return pflag.NormalizedName(name)
}

// device is --device of the specification's scripts. There is one.
type device struct{}

func (device) String() string { return "auto" }
func (device) Type() string   { return "string" }

func (device) Set(name string) error {
	if name != "auto" && name != "cpu" {
		return fmt.Errorf("want auto or cpu: mqc computes on the CPU")
	}
	return nil
}

// elsewhere answers flags of the specification's scripts that have nothing to
// set here.
var elsewhere = map[string]string{
	"tokenizer":   "a checkpoint holds its tokenizer; mqc train --tokenizer chooses one",
	"emb-dim":     "the width of a code follows from the kind of the tokenizer: mqc tokenize --kind",
	"hidden-dim":  "the width of a tokenizer follows from its kind: mqc tokenize --kind",
	"legacy":      "mqc tokenize --kind chooses a tokenizer",
	"method":      "mqc tokenize --kind quantile cuts the return into equally full bins",
	"signal":      "mqc tokenize --scale chooses what a token says",
	"rolling-z":   "mqc tokenize --scale ewma measures moves by the volatility before them",
	"asset":       "an asset is named by its file: --csv, or --data for a folder of them",
	"symbol":      "an asset is named by its file: --csv, or --data for a folder of them",
	"gpu":         "mqc computes on the CPU",
	"num-workers": "mqc uses every core; GOMAXPROCS bounds them",
}

// usageError is a command line that cannot be understood.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// newUsageError answers a wrong flag with the nearest right one.
func newUsageError(c *cobra.Command, err error) *usageError {
	e := &usageError{err: err, hint: fmt.Sprintf("see: %s --help", c.CommandPath())}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		name := string(normalize(nil, unknown.GetSpecifiedName()))
		if why, ok := elsewhere[name]; ok {
			e.hint = why
		} else if best := nearestFlag(c, name); best != "" {
			e.hint = fmt.Sprintf("did you mean --%s? %s", best, e.hint)
		}
	}
	return e
}

// plainValue says what a flag wants in words, in place of the parser's.
func plainValue(err error) error {
	var invalid *pflag.InvalidValueError
	var number *strconv.NumError
	if !errors.As(err, &invalid) || !errors.As(err, &number) {
		return err
	}
	flag := invalid.GetFlag()
	want := map[string]string{
		"int": "a whole number", "uint64": "a whole number from 0", "float64": "a number", "bool": "true or false",
	}[flag.Value.Type()]
	if want == "" {
		return err
	}
	if errors.Is(err, strconv.ErrRange) {
		want += " that is not so large"
	}
	return fmt.Errorf("invalid argument %q for \"--%s\": want %s", invalid.GetValue(), flag.Name, want)
}

func usagef(c *cobra.Command, format string, args ...any) *usageError {
	return newUsageError(c, fmt.Errorf(format, args...))
}

// nearestFlag returns the flag of c whose name, or another spelling of it, is
// fewest edits away, or "".
func nearestFlag(c *cobra.Command, name string) string {
	best, bestDistance := "", 1+max(1, len(name)/2)
	try := func(spelling, flag string) {
		if d := edit.Distance(name, spelling); d < bestDistance || d == bestDistance && flag < best {
			best, bestDistance = flag, d
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) { try(f.Name, f.Name) })
	for alias, target := range aliases {
		if c.Flags().Lookup(target) != nil {
			try(alias, target)
		}
	}
	return best
}

// printJSON writes v to stdout, indented.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// talk writes a line for the person at the terminal, unless --quiet.
func (a *app) talk(format string, args ...any) {
	if !a.quiet {
		a.warn(format, args...)
	}
}

// warn writes a line that --quiet does not silence.
func (a *app) warn(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// say writes a line of the result. A table is laid out for the terminal.
func (a *app) say(format string, args ...any) {
	for _, arg := range args {
		if t, ok := arg.(*textTable); ok {
			t.width = a.width()
		}
	}
	fmt.Fprintf(a.out, format+"\n", args...)
}

// width is that of the terminal that stdout is, in columns; 0 for a file or a
// pipe, which take lines of any length.
func (a *app) width() int {
	f, ok := a.out.file()
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// chartWidth is how many points a chart may have side by side: 80, or what a
// narrow terminal has room for beside the labels.
func (a *app) chartWidth() int {
	const most, labels, least = 80, 12, 8
	if w := a.width(); w > 0 {
		return max(least, min(most, w-labels))
	}
	return most
}

// command is the command line as a shell takes it.
func (a *app) command() string {
	words := []string{"mqc"}
	for _, arg := range a.args {
		if arg == "" || strings.ContainsFunc(arg, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./,=:+@%^", r))
		}) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
