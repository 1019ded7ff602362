package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

// app is what every command shares.
type app struct {
	out, err io.Writer // data, talk
	json     bool
	seed     uint64
	named    bool // the note on .pt files has been said
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	a := &app{out: stdout, err: stderr}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "mqc: %v\n", err)
	if h := hint(err); h != "" {
		fmt.Fprintf(stderr, "hint: %s\n", h)
	}
	var usage *usageError
	if errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command") {
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
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return newUsageError(c, err) })
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print results as JSON")
	root.PersistentFlags().Uint64Var(&a.seed, "seed", 1, "seed of everything random")

	root.AddCommand(
		a.quickstart(), a.data(), a.tokenize(),
		a.train(), a.midtrain(), a.sft(), a.rl(),
		a.calibrate(), a.eval(), a.generate(), a.forecast(), a.info(), a.logits(), a.export(), a.importTorch(), a.bench(), a.selftest(), a.version(),
	)
	for _, c := range root.Commands() {
		wrapArgs(c)
	}
	return root
}

// wrapArgs makes errors of positional arguments usage errors.
func wrapArgs(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return newUsageError(c, err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

// aliases maps other spellings of a flag, dashes for underscores, to its name.
var aliases = map[string]string{
	"num-epochs":    "epochs",
	"batch-size":    "batch",
	"learning-rate": "lr",
	"save-dir":      "out",
	"data-file":     "data",
	"btc-csv":       "csv",
	"asset-csv":     "csv",
	"num":           "num-generate",
	"num-samples":   "samples",
	"temp":          "temperature",
}

// normalize makes dashes and underscores one and resolves aliases.
func normalize(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	name = strings.ReplaceAll(name, "_", "-")
	if target, ok := aliases[name]; ok {
		name = target
	}
	return pflag.NormalizedName(name)
}

// usageError is a command line that cannot be understood.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// newUsageError answers a wrong flag with the nearest right one.
func newUsageError(c *cobra.Command, err error) error {
	e := &usageError{err: err, hint: fmt.Sprintf("see: %s --help", c.CommandPath())}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if best := nearestFlag(c, unknown.GetSpecifiedName()); best != "" {
			e.hint = fmt.Sprintf("did you mean --%s? %s", best, e.hint)
		}
	}
	return e
}

func usagef(c *cobra.Command, format string, args ...any) error {
	return newUsageError(c, fmt.Errorf(format, args...))
}

// nearestFlag returns the flag of c whose name, or another spelling of it, is
// fewest edits away, or "".
func nearestFlag(c *cobra.Command, name string) string {
	name = string(normalize(nil, name))
	best, bestDistance := "", 1+max(1, len(name)/2)
	try := func(spelling, flag string) {
		if d := editDistance(name, spelling); d < bestDistance || d == bestDistance && flag < best {
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

// editDistance counts insertions, deletions and substitutions (Levenshtein 1966).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal, row[j+1] = row[j+1], min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// printJSON writes v to stdout, indented.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// talk writes a line for the person at the terminal.
func (a *app) talk(format string, args ...any) { fmt.Fprintf(a.err, format+"\n", args...) }

// say writes a line of the result.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }
